"""Candles over the exchange's WebSocket, through ccxt's own class for it: one connection for many streams.

One of ccxt's hooks is taken, the reader of messages about candles. ccxt would keep a table of bars for each stream and
wake a task for each message, and what it passes on lacks both the exchange's word that a bar is closed (`x`) and the
exchange's time of the message (`E`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.instruments import Instrument
from pipeline.domain.timeframes import Timeframe
from pipeline.exchange.transport import innermost, redacting_logger
from pipeline.exchange.wire import WireOptions

NAMES_IN_A_MESSAGE = 100
"""Streams subscribed to with one message: the exchange ignores messages that are too long."""
BETWEEN_MESSAGES_S = 0.15
"""It ends connections that send it more than ten messages a second."""
KEEP_ALIVE_MS = 10_000
LATEST_MS = 4_102_444_800_000
"""The year 2100: what is later is no time in ms."""


@dataclass(frozen=True, slots=True)
class Kline:
    """What one message says about one bar.

    `row`:      open time in ms, open, high, low, close (quote), volume (base); as it came, possibly rubbish.
    `closed`:   the exchange's word that the bar is over. If not, this is the first that was heard of it.
    `event_ms`: the exchange's clock when it sent the message.
    """

    symbol: str
    timeframe: Timeframe
    row: tuple[object, ...]
    closed: bool
    event_ms: int

    @property
    def open_ms(self) -> int:
        """When the bar opens; 0 where the message says nothing that can be a time."""
        opened = self.row[0]
        return opened if _is_instant(opened) else 0


Hear = Callable[[Kline], None]


class KlineSocket:
    """One connection. `hear` is called for each closed bar and for the first message of each new one."""

    def __init__(
        self, options: WireOptions, streams: Sequence[tuple[Instrument, Timeframe]], hear: Hear
    ) -> None:
        self._streams = {(each.market_id, frame.name): (each.symbol, frame) for each, frame in streams}
        self._hear = hear
        self._forming: dict[tuple[str, str], int] = {}
        self._ccxt = _opened(options, {each for each, _ in streams})
        self._ccxt.client = _loud(self._ccxt.client)
        self._handle_others = self._ccxt.handle_message
        self._ccxt.handle_message = self._handle
        self.messages = 0
        self.heard_at = time.monotonic()

    async def follow(self) -> None:
        """Listen until the connection ends, by whatever. Raises: ExchangeUnavailable; never returns."""
        pairs = [[symbol, frame.name] for symbol, frame in self._streams.values()]
        watching: set[asyncio.Task[object]] = set()
        try:
            for start in range(0, len(pairs), NAMES_IN_A_MESSAGE):
                part = pairs[start : start + NAMES_IN_A_MESSAGE]
                watching.add(asyncio.ensure_future(self._ccxt.watch_ohlcv_for_symbols(part)))
                await asyncio.wait(watching, timeout=BETWEEN_MESSAGES_S, return_when=asyncio.FIRST_COMPLETED)
            done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            raise ExchangeUnavailable(_why(done))
        finally:
            await _cancelled(watching)

    async def close(self) -> None:
        """Leave the exchange. Raises nothing that matters."""
        await self._ccxt.close()

    def _handle(self, client: Any, message: Any) -> None:
        if not isinstance(message, dict):
            return
        told = message.get("data", message)
        if not isinstance(told, dict) or told.get("e") != "kline":
            self._handle_others(client, message)
            return
        self.heard_at = time.monotonic()
        self.messages += 1
        kline = told.get("k")
        stream = self._stream(kline)
        if stream is not None and isinstance(kline, dict):
            self._read(stream, kline, told.get("E"))

    def _stream(self, kline: object) -> tuple[str, str] | None:
        if not isinstance(kline, dict):
            return None
        named = (str(kline.get("s")), str(kline.get("i")))
        return named if named in self._streams else None

    def _read(self, stream: tuple[str, str], kline: Mapping[str, object], event_ms: object) -> None:
        opened, closed = kline.get("t"), kline.get("x") is True
        if not closed and self._forming.get(stream) == opened:
            return
        if not _is_instant(opened) or not _is_instant(event_ms):
            opened, event_ms = 0, 0  # no bar is closed at the beginning of time: refused further on
        self._forming[stream] = opened
        symbol, timeframe = self._streams[stream]
        row = (opened, *(_number(kline.get(name)) for name in "ohlcv"))
        self._hear(Kline(symbol, timeframe, row, closed, event_ms))


def _opened(options: WireOptions, instruments: set[Instrument]) -> Any:
    """ccxt's class for the WebSocket; it knows the instruments that it needs, and asks for nothing."""
    import ccxt.pro  # noqa: PLC0415  a third of a second and 30 MB, which only the feed needs

    exchange = getattr(ccxt.pro, options.exchange_id)(
        {
            "enableRateLimit": False,
            "newUpdates": False,
            "logger": redacting_logger(),
            "streaming": {"keepAlive": KEEP_ALIVE_MS},
        }
    )
    if options.demo:
        exchange.enable_demo_trading(True)  # noqa: FBT003 -- ccxt's own signature
    if options.base_url:
        exchange.urls["api"]["ws"]["linear"] = options.base_url.replace("http", "ws", 1).rstrip("/") + "/ws"
    exchange.set_markets([_market(instrument) for instrument in instruments])
    return exchange


def _market(instrument: Instrument) -> dict[str, object]:
    return {
        "id": instrument.market_id,
        "lowercaseId": instrument.market_id.lower(),
        "symbol": instrument.symbol,
        "base": instrument.base,
        "quote": instrument.quote,
        "type": "swap",
        "spot": False,
        "swap": True,
        "contract": True,
        "linear": True,
        "option": False,
    }


def _loud(client_at: Callable[[str], Any]) -> Callable[[str], Any]:
    """A message that cannot be read, or whose reader fails, ends the connection with that error. ccxt would listen no
    more, without a word.
    """

    def client(url: str) -> Any:
        found = client_at(url)
        if not hasattr(found, "throughline_handles"):
            found.throughline_handles = found.handle_message
            found.handle_message = partial(_handled, found)
        return found

    return client


def _handled(client: Any, message: Any) -> None:
    try:
        client.throughline_handles(message)
    except Exception as error:  # noqa: BLE001 - whatever it was, it must not be silence
        client.reject(ExchangeUnavailable(f"a message could not be read: {type(error).__name__}: {error}"))


def _is_instant(told: object) -> TypeGuard[int]:
    return isinstance(told, int) and not isinstance(told, bool) and 0 <= told < LATEST_MS


def _number(told: object) -> object:
    """Prices come as text. What is no number stays as it is, and is refused by the quality checks."""
    try:
        return float(told) if isinstance(told, str) else told
    except ValueError:
        return told


def _why(done: set[asyncio.Task[object]]) -> str:
    for task in done:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            return f"the candle stream ended: {type(error).__name__}: {innermost(error)}"
    return "the candle stream ended without a word"


async def _cancelled(tasks: set[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
