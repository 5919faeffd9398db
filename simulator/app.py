"""Builds the simulator from its options and serves it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import replace

from aiohttp import web

from simulator import control, sources
from simulator.clock import MINUTE_MS, SimClock, checked_speed, iso
from simulator.engine import Engine
from simulator.errors import OptionsError
from simulator.faults import FaultBoard
from simulator.gateway import Gateway
from simulator.journal import Journal
from simulator.limits import Limits
from simulator.market import Market
from simulator.options import Options
from simulator.state import State, load
from simulator.streams import PATH, Streams
from simulator.sweeper import Sweeper
from simulator.world import World

TICK_S = 0.1
MAX_PORT = 65_535


def build(options: Options) -> World:
    """Raises: OptionsError naming the option that is wrong."""
    if not 0 <= options.port <= MAX_PORT:
        raise OptionsError(f"--port must be from 0 to {MAX_PORT}, got {options.port}")
    try:
        checked_speed(options.speed)
    except ValueError as error:
        raise OptionsError(f"--speed: {error}") from None
    prices = f"seed {options.seed}" if options.data is None else f"recorded in {options.data}"
    kept = load(options.state, prices)
    chosen = sources.choose(replace(options, start=iso(kept.start_ms)) if kept else options)
    clock = SimClock(kept.now_ms() if kept else chosen.start_ms, options.speed)
    journal, state = Journal(clock, options.journal), State(clock, options.state)
    engine = Engine(Market(chosen.instruments, chosen.source), journal, state)
    if kept is None:
        state.begin(chosen.start_ms, prices)
    else:
        engine.accounts |= kept.accounts
    if options.api_key not in engine.accounts:
        engine.open_account(options.api_key, options.api_secret, options.balance, clock.now_ms())
    # What happened to open orders meanwhile happens now.
    sweeper = Sweeper(engine, kept.at_ms if kept else clock.now_ms())
    limits, faults = Limits(options), FaultBoard(options.seed)
    return World(options, clock, engine.market, engine, sweeper, journal, limits, faults)


class Simulator:
    """A running simulator: HTTP server, sockets and the background tick."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._gateway = Gateway(world)
        self._streams = Streams(world)
        self._runner: web.ServerRunner | None = None
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; the port is the answer. Raises: OSError when it is taken."""
        options = self._world.options
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server)
        await self._runner.setup()
        site = web.TCPSite(self._runner, options.host, options.port, shutdown_timeout=1.0)
        await site.start()
        self._ticker = asyncio.get_running_loop().create_task(self._tick())
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        await self._streams.close()
        await self._gateway.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._world.journal.close()
        self._world.engine.state.close()

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        path = raw.raw_path.partition("?")[0]
        if path.startswith("/_sim/"):
            return await control.handle(raw, self._world)
        if raw.headers.get("Upgrade", "").lower() == "websocket" and PATH.fullmatch(path):
            return await self._streams.handle(raw)
        return await self._gateway.handle(raw)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._until_next_tick_s())
            now_ms = self._world.clock.now_ms()
            self._world.sweeper.advance(now_ms)
            self._world.sweeper.liquidate(now_ms)
            await self._streams.pump(now_ms)
            self._world.journal.flush()

    def _until_next_tick_s(self) -> float:
        """A tenth of a second; less where a minute is over before, so that candles are told when they close."""
        clock = self._world.clock
        if MINUTE_MS / 1000 / clock.speed < TICK_S:
            return TICK_S
        left_ms = MINUTE_MS - clock.now_ms() % MINUTE_MS
        return min(TICK_S, left_ms / 1000 / clock.speed)


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises: OptionsError."""
    world = build(options)
    simulator = Simulator(world)
    try:
        port = await simulator.start()
    except OSError as error:
        await simulator.stop()
        raise OptionsError(
            f"cannot listen on {options.host}:{options.port} ({reason(error)}); "
            "choose another --port, 0 picks a free one"
        ) from None
    announce(options, world, port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await simulator.stop()


def reason(error: OSError) -> str:
    """Without the address that asyncio puts around it: ours is in the sentence already."""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)


def announce(options: Options, world: World, port: int) -> None:
    """The one line that says where it is."""
    count = len(world.market.instruments)
    sys.stdout.write(
        f"simulated exchange on http://{options.host}:{port} "
        f"({count} symbols, clock {iso(world.clock.now_ms())}, speed {world.clock.speed:g})\n"
    )
    sys.stdout.flush()


def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT; blocks.

    Raises: OptionsError when it cannot start as asked.
    """
    asyncio.run(run(options))
