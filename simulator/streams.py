"""WebSocket streams of candles, the way ccxt.pro and browsers reach them.

`/stream?streams=a/b` wraps each event in its stream's name, `/ws/<stream>` does not; both take SUBSCRIBE,
UNSUBSCRIBE and LIST_SUBSCRIPTIONS. The same under /market, /public and /private.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

import orjson
from aiohttp import WSMsgType, web

from simulator.bars import Bar
from simulator.candle_json import figures
from simulator.errors import ApiError
from simulator.faults import Effect, Fault
from simulator.gateway import reset
from simulator.instruments import stable_hash
from simulator.journal import Call
from simulator.params import Params
from simulator.spoil import spoilt_event
from simulator.world import World

PATH = re.compile(r"/(?:(?:market|public|private)/)?(ws|stream)(?:/(.*))?")
STREAM = re.compile(r"([a-z0-9]+)@kline_(\w+)")
MAX_STREAMS = 1024
MAX_CATCH_UP = 1500
BACKLOG = 20_000
AT_ONCE = 25
"""Streams whose messages are made before those of others are sent."""
HEARTBEAT_S = 180.0


@dataclass(slots=True)
class Stream:
    """One kline stream and who listens to it."""

    name: str
    symbol: str
    interval: str
    interval_ms: int
    open_ms: int
    listeners: set[Socket] = field(default_factory=set)
    last_bar: Bar | None = None
    next_update_s: float = 0.0


@dataclass(eq=False, slots=True)
class Socket:
    """One connection."""

    raw: web.BaseRequest
    ws: web.WebSocketResponse
    wrapped: bool
    path: str
    streams: set[str] = field(default_factory=set)
    mute_until_s: float = 0.0
    outbox: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(BACKLOG))

    @property
    def is_mute(self) -> bool:
        return time.monotonic() < self.mute_until_s


class Streams:
    """All sockets and their subscriptions; `pump` is called on every tick of the simulator."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._streams: dict[str, Stream] = {}
        self._sockets: set[Socket] = set()

    async def handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Serve one WebSocket connection until it ends."""
        path, _, query = raw.raw_path.partition("?")
        matched = PATH.fullmatch(path)
        ws = web.WebSocketResponse(heartbeat=HEARTBEAT_S, compress=False, max_msg_size=1_000_000)
        await ws.prepare(raw)
        socket = Socket(raw, ws, matched is not None and matched[1] == "stream", path)
        self._sockets.add(socket)
        self._journal("ws_connected", socket)
        writer = asyncio.get_running_loop().create_task(self._write(socket))
        try:
            self._subscribe(socket, first_streams(matched[2] if matched else None, Params.parse(query)))
            await self._listen(socket)
        except ApiError as refused:
            await ws.close(code=1008, message=refused.msg.encode()[:100])
        finally:
            writer.cancel()
            self._leave(socket)
        return ws

    async def close(self) -> None:
        """Say goodbye to everybody."""
        await asyncio.gather(*(socket.ws.close(code=1001) for socket in list(self._sockets)))

    async def pump(self, now_ms: int) -> None:
        """Send what has closed since the last tick, and the forming candles that are due.

        The first messages are on their way while the last ones are made.
        """
        self._strike()
        wall = time.monotonic()
        for number, stream in enumerate(list(self._streams.values()), start=1):
            self._pump_stream(stream, now_ms, wall)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _pump_stream(self, stream: Stream, now_ms: int, wall_s: float) -> None:
        current = now_ms // stream.interval_ms * stream.interval_ms
        if current > stream.open_ms:
            start = max(stream.open_ms, current - MAX_CATCH_UP * stream.interval_ms)
            closed = self._world.market.closed(stream.symbol, stream.interval_ms, start, now_ms)
            for index in range(len(closed)):
                self._send(stream, closed.bar(index), True, now_ms)  # noqa: FBT003 - x of Binance's event
            stream.open_ms = current
        if wall_s >= stream.next_update_s:
            stream.next_update_s = wall_s + self._world.options.update_s
            bar = self._world.market.growing(stream.symbol, stream.interval_ms, now_ms)
            if bar is not None and bar != stream.last_bar:
                stream.last_bar = bar
                self._send(stream, bar, False, now_ms)  # noqa: FBT003 - the same

    def _send(self, stream: Stream, bar: Bar, closed: bool, now_ms: int) -> None:
        event = self._event(stream, bar, closed, now_ms)
        for sent in self._spoilt(stream, event) if closed else [event]:
            text = orjson.dumps(sent).decode()
            wrapped = f'{{"stream":"{stream.name}","data":{text}}}'
            for socket in stream.listeners:
                put(socket, wrapped if socket.wrapped else text)

    def _spoilt(self, stream: Stream, event: dict[str, object]) -> list[dict[str, object]]:
        """The event, unless a fault makes something else of it."""
        faults = self._world.faults
        fault = faults.strike_socket(Effect.STREAM, "/", {stream.symbol}) if faults else None
        if fault is None:
            return [event]
        self._world.journal.fault(fault.name, fault.fault_id, fault.args, Call("GET", stream.name))
        return spoilt_event(event, str(fault.args["flavour"]))

    def _event(self, stream: Stream, bar: Bar, closed: bool, now_ms: int) -> dict[str, object]:
        instrument = self._world.market.instruments[stream.symbol]
        return {
            "e": "kline",
            "E": now_ms,
            "s": stream.symbol,
            "k": {
                "t": bar.open_ms,
                "T": bar.open_ms + stream.interval_ms - 1,
                "s": stream.symbol,
                "i": stream.interval,
                "f": 1,
                "L": 2,
                "x": closed,
                "B": "0",
                **figures(instrument, bar),
            },
        }

    async def _write(self, socket: Socket) -> None:
        """One task per socket sends in order; a muted socket's events are lost."""
        while True:
            text = await socket.outbox.get()
            if not socket.is_mute:
                try:
                    await socket.ws.send_str(text)
                except (ConnectionError, RuntimeError):
                    return

    async def _listen(self, socket: Socket) -> None:
        async for message in socket.ws:
            if message.type is WSMsgType.TEXT:
                reply = self._command(socket, message.data)
                put(socket, orjson.dumps(reply).decode())

    def _command(self, socket: Socket, text: str) -> dict[str, object]:
        """SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS; anything else is answered with an error."""
        try:
            message = orjson.loads(text)
            number, method = message.get("id"), message.get("method")
            names = message.get("params") or []
            names = [str(name) for name in names] if isinstance(names, list) else []
        except (orjson.JSONDecodeError, AttributeError):
            return {"error": {"code": 3, "msg": "Invalid JSON: expected an object with method, params, id"}}
        try:
            return {"result": self._act(socket, str(method), names), "id": number}
        except ApiError as refused:
            return {"error": {"code": refused.code, "msg": refused.msg}, "id": number}
        except ValueError as unknown:
            return {"error": {"code": 2, "msg": str(unknown)}, "id": number}

    def _act(self, socket: Socket, method: str, names: list[str]) -> list[str] | None:
        if method == "SUBSCRIBE":
            self._subscribe(socket, names)
            return None
        if method == "UNSUBSCRIBE":
            for name in names:
                self._unsubscribe(socket, name)
            return None
        if method == "LIST_SUBSCRIPTIONS":
            return sorted(socket.streams)
        raise ValueError(f"Invalid request: unknown method {method}")

    def _subscribe(self, socket: Socket, names: list[str]) -> None:
        """Raises: ValueError, ApiError when a name is no stream; none is subscribed then."""
        if len(socket.streams | set(names)) > MAX_STREAMS:
            raise ValueError(f"Invalid request: more than {MAX_STREAMS} streams on one connection")
        streams = [self._stream(name) for name in names]
        for stream in streams:
            self._streams[stream.name] = stream
            stream.listeners.add(socket)
            stream.last_bar = None
            socket.streams.add(stream.name)

    def _stream(self, name: str) -> Stream:
        known = self._streams.get(name)
        if known is not None:
            return known
        matched = STREAM.fullmatch(name)
        if matched is None:
            raise ValueError(f"Invalid request: unknown stream {name}; there are <symbol>@kline_<interval>")
        market = self._world.market
        symbol = market.instrument(matched[1].upper()).symbol
        interval_ms = market.interval(symbol, matched[2])
        now_ms = self._world.clock.now_ms()
        opened = now_ms // interval_ms * interval_ms
        return Stream(name, symbol, matched[2], interval_ms, opened, next_update_s=self._first_update_s(name))

    def _first_update_s(self, name: str) -> float:
        """Streams take turns: events come spread over the period, not in one burst."""
        share = stable_hash(name) / 2**64
        return time.monotonic() + share * self._world.options.update_s

    def _unsubscribe(self, socket: Socket, name: str) -> None:
        socket.streams.discard(name)
        stream = self._streams.get(name)
        if stream is not None:
            stream.listeners.discard(socket)
            if not stream.listeners:
                del self._streams[name]

    def _leave(self, socket: Socket) -> None:
        for name in list(socket.streams):
            self._unsubscribe(socket, name)
        self._sockets.discard(socket)
        self._journal("ws_closed", socket)

    def _strike(self) -> None:
        """Socket faults hit the sockets that are open now."""
        if not self._world.faults:
            return
        for socket in list(self._sockets):
            if socket.is_mute:
                continue
            symbols = {self._streams[name].symbol for name in socket.streams}
            fault = self._world.faults.strike_socket(Effect.SOCKET, socket.path, symbols)
            if fault is not None:
                self._hit(socket, fault)

    def _hit(self, socket: Socket, fault: Fault) -> None:
        self._world.journal.fault(fault.name, fault.fault_id, fault.args, Call("GET", socket.path))
        if fault.name == "drop_socket":
            reset(socket.raw)
        else:
            socket.mute_until_s = time.monotonic() + fault.number("seconds")

    def _journal(self, kind: str, socket: Socket) -> None:
        self._world.journal.event(kind, {"streams": sorted(socket.streams)}, Call("GET", socket.path))


def put(socket: Socket, text: str) -> None:
    """Queue an event; a client that reads too slowly is cut off, as Binance does."""
    if socket.outbox.full():
        reset(socket.raw)
    else:
        socket.outbox.put_nowait(text)


def first_streams(in_path: str | None, params: Params) -> list[str]:
    """The streams named in the address; ccxt puts a connection's number there, which is none."""
    text = unquote(in_path or "") or params.get("streams") or ""
    return [name for name in text.split("/") if "@" in name]
