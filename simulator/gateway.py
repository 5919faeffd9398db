"""The way of a request: parse, count, throw the dice for faults, check, answer, write it down."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
import traceback
from dataclasses import dataclass, replace
from decimal import Decimal

import orjson
from aiohttp import web

from simulator import rest_account, rest_market, rest_trade, spoil
from simulator.account import Account
from simulator.engine import ALL
from simulator.errors import NO_SUCH_PATH, UNKNOWN, ApiError
from simulator.faults import Effect, Fault
from simulator.journal import NO_CALL, Call
from simulator.params import Params
from simulator.signatures import check_signature, check_time, signing_account
from simulator.world import Ask, Route, World

ROUTES: dict[tuple[str, str], Route] = rest_market.ROUTES | rest_trade.ROUTES | rest_account.ROUTES
OF_EVERY = rest_market.OF_EVERY | rest_account.OF_EVERY
"""Paths that are about the price of every symbol when none is named."""
JSON = "application/json"
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Inbound:
    """A request as it came in."""

    raw: web.BaseRequest
    call: Call
    params: Params
    query: str
    body: str

    @property
    def symbol(self) -> str:
        return self.call.params.get("symbol", "").upper()


@dataclass(slots=True)
class Answer:
    """What goes back; `status` None means that nothing does."""

    status: int | None
    body: bytes
    headers: dict[str, str]
    content_type: str = JSON

    def response(self) -> web.Response:
        return web.Response(
            status=self.status or 500, body=self.body, headers=self.headers, content_type=self.content_type
        )


class Gateway:
    """Answers every exchange request."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._late: set[asyncio.Task[None]] = set()

    async def handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter_ns()
        inbound = await read(raw, self._world)
        if inbound.call.path in OF_EVERY and not inbound.symbol:
            await self._see_every_price()
        answer = await self._answer(inbound)
        took_us = (time.perf_counter_ns() - started) // 1000
        self._world.journal.request(inbound.call, answer.status, took_us)
        if answer.status is None:
            reset(raw)
        return answer.response()

    async def _see_every_price(self) -> None:
        """Others are served while one question makes the histories of hundreds of symbols."""
        for symbol in self._world.market.unseen():
            self._world.market.last(symbol, self._world.clock.now_ms())
            await asyncio.sleep(0)

    async def _answer(self, inbound: Inbound) -> Answer:
        headers: dict[str, str] = {}
        call = inbound.call
        route = ROUTES.get((call.method or "", call.path or ""))
        if route is None:
            return refused(ApiError(NO_SUCH_PATH, call.path, call.method), headers)
        try:
            weight = route.weight(inbound.params)
            used = self._world.limits.charge(inbound.raw.remote or "local", weight)
            headers["x-mbx-used-weight-1m"] = str(used)
        except ApiError as throttled:
            return refused(throttled, headers)
        fault = None
        if self._world.faults:
            fault = self._world.faults.strike(call.method or "", call.path or "", inbound.symbol)
        if fault is None:
            return self._process(inbound, route, headers)
        self._world.journal.fault(fault.name, fault.fault_id, fault.args, call)
        return await self._under(fault, inbound, route, headers)

    async def _under(self, fault: Fault, inbound: Inbound, route: Route, headers: dict[str, str]) -> Answer:
        """The answer as the fault makes it."""
        effect = fault.kind.effect
        if effect is Effect.DELAY:
            jitter = self._world.faults.jitter(fault.number("jitter_s"))
            await asyncio.sleep(fault.number("seconds") + jitter)
            return self._process(inbound, route, headers)
        if effect is Effect.CHANGE:
            return self._process(inbound, route, headers, fault)
        if effect is Effect.LATE:
            return self._process_later(fault.number("delay_s"), inbound, route, headers)
        if fault.processed:
            self._process(inbound, route, headers)
        if effect is Effect.SILENCE:
            await hold(inbound.raw, fault.number("hold_s"))
        if effect in {Effect.SILENCE, Effect.RESET}:
            return Answer(None, b"", headers)
        if effect is Effect.REFUSE:
            return refused(faulty_refusal(fault), headers)
        return replaced(fault, headers)

    def _process(
        self, inbound: Inbound, route: Route, headers: dict[str, str], fault: Fault | None = None
    ) -> Answer:
        """Let the exchange do it."""
        try:
            ask = self._ask(inbound, route, headers, fault)
        except ApiError as error:
            return self._refuse(error, inbound, route, headers)
        return self._run(inbound, route, ask, headers, fault)

    def _run(
        self, inbound: Inbound, route: Route, ask: Ask, headers: dict[str, str], fault: Fault | None
    ) -> Answer:
        """Call the endpoint; the journal knows meanwhile which request it is."""
        journal = self._world.journal
        journal.call = inbound.call
        try:
            body = spoil.spoilt(route.handler(ask), fault)
        except ApiError as error:
            return self._refuse(error, inbound, route, headers)
        except Exception as error:  # noqa: BLE001 - rubbish must not end in a stack trace for the caller
            traceback.print_exception(error, file=sys.stderr)
            journal.event("internal_error", {"error": repr(error)}, inbound.call)
            return refused(ApiError(UNKNOWN), headers)
        finally:
            journal.call = NO_CALL
        return Answer(200, body if isinstance(body, bytes) else orjson.dumps(body), headers)

    def _refuse(self, error: ApiError, inbound: Inbound, route: Route, headers: dict[str, str]) -> Answer:
        if route.places_order:
            self._world.journal.rejected(inbound.call, error.status, error.code, error.msg)
        return refused(error, headers)

    def _ask(self, inbound: Inbound, route: Route, headers: dict[str, str], fault: Fault | None) -> Ask:
        """Raises: ApiError when the caller may not ask this."""
        world = self._world
        now_ms = world.clock.now_ms()
        if not route.signed:
            return Ask(world, inbound.params, now_ms)
        account = signing_account(world.engine.accounts, inbound.raw.headers.get("X-MBX-APIKEY"))
        check_signature(account, inbound.query, inbound.body)
        if route.checks_time:
            check_time(inbound.params, now_ms, world.clock.speed)
        if route.places_order:
            count_order(world, account, headers)
        world.sweeper.advance(now_ms)
        fraction = ALL
        if fault is not None and fault.name == "partial_fill":
            fraction = Decimal(repr(fault.number("fraction")))
        return Ask(world, inbound.params, now_ms, account, fraction)

    def _process_later(
        self, delay_s: float, inbound: Inbound, route: Route, headers: dict[str, str]
    ) -> Answer:
        """Key, signature and time are checked on arrival; the request's turn comes late, its answer never."""
        try:
            ask = self._ask(inbound, route, headers, None)
        except ApiError as error:
            return refused(error, headers)
        task = asyncio.get_running_loop().create_task(self._late_turn(delay_s, inbound, route, ask))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return Answer(None, b"", headers)

    async def _late_turn(self, delay_s: float, inbound: Inbound, route: Route, ask: Ask) -> None:
        await asyncio.sleep(delay_s)
        now_ms = self._world.clock.now_ms()
        self._world.sweeper.advance(now_ms)
        self._run(inbound, route, replace(ask, now_ms=now_ms), {}, None)

    async def close(self) -> None:
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


async def read(raw: web.BaseRequest, world: World) -> Inbound:
    path, _, query = raw.raw_path.partition("?")
    body = ""
    if raw.can_read_body:
        body = (await raw.read()).decode("utf-8", "replace")
    params = Params.parse(query, body)
    key = raw.headers.get("X-MBX-APIKEY", "")
    known = key if key in world.engine.accounts else None
    return Inbound(raw, Call(raw.method, path, params.shown(), known), params, query, body)


def count_order(world: World, account: Account, headers: dict[str, str]) -> None:
    ten, minute = world.limits.count_order(account.api_key)
    headers["x-mbx-order-count-10s"] = str(ten)
    headers["x-mbx-order-count-1m"] = str(minute)


def refused(error: ApiError, headers: dict[str, str]) -> Answer:
    if error.retry_after_s is not None:
        headers["Retry-After"] = f"{error.retry_after_s:g}"
    return Answer(error.status, error.body(), headers)


def faulty_refusal(fault: Fault) -> ApiError:
    """The refusal that a fault stands for, with plausible details."""
    refusal = fault.kind.refusal
    if refusal is None:
        raise TypeError(f"the fault {fault.name} has no refusal")
    details = ("127.0.0.1", "2400", "MINUTE")
    retry = float(fault.args.get("retry_after_s", 0.0))
    return ApiError(refusal, *details, retry_after_s=retry or None)


def replaced(fault: Fault, headers: dict[str, str]) -> Answer:
    text = str(fault.args["body"])
    kind = "text/html" if fault.name == "html_body" else JSON
    return Answer(200, text.encode(), headers, kind)


async def hold(raw: web.BaseRequest, seconds: float) -> None:
    """Say nothing until the caller gives up or the time is over."""
    end = time.monotonic() + seconds
    while (  # noqa: ASYNC110 - there is no event to wait for
        time.monotonic() < end and raw.transport is not None and not raw.transport.is_closing()
    ):
        await asyncio.sleep(POLL_S)  # aiohttp has no event for a caller who hung up


def reset(raw: web.BaseRequest) -> None:
    """Cut the connection without a goodbye: the caller sees 'connection reset'."""
    transport = raw.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
