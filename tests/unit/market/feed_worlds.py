"""A feed made of fakes: sockets that a test speaks through, a lease and heartbeats in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.timeframes import Timeframe
from pipeline.exchange.klines import Hear, Kline
from pipeline.governor.universe import Universe
from pipeline.lease import Held, Lease
from pipeline.market.feed.connections import Limits
from pipeline.market.feed.heartbeat import Beat, Heartbeats
from pipeline.market.feed.leading import Leader
from pipeline.market.feed.parts import FeedOptions, FeedParts
from pipeline.market.feed.plan import Group
from pipeline.market.source import CandleSource
from pipeline.stages.opening import PassRequest
from pipeline.stages.ports import CandleWindows
from pipeline.testing import FixedClock
from pipeline.trace.events import RecordedEvents
from tests.unit.market.candle_worlds import MINUTE, FakeExchange, MemoryStore, as_rows, row

LONG_S = 60.0
A, B = "A/USDT:USDT", "B/USDT:USDT"
THREE = Timeframe.parse("3m")
NOON_MS = 1_760_097_600_000
STEP_MS = MINUTE.milliseconds


@dataclass
class FakeSocket:
    """A connection that says what the test says, and ends when the test wants it to."""

    group: Group
    hear: Hear
    messages: int = 0
    heard_at: float = field(default_factory=time.monotonic)
    closed: bool = False
    is_dead: bool = False
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _why: str = ""

    async def follow(self) -> None:
        await self._ended.wait()
        raise ExchangeUnavailable(self._why)

    async def close(self) -> None:
        if self.is_dead:
            await asyncio.Event().wait()
        self.closed = True

    def end(self, why: str) -> None:
        self._why = why
        self._ended.set()

    def tell(self, symbol: str, open_ms: int, timeframe: Timeframe, *, closed: bool = True) -> Kline:
        """A true bar, told right after its close; returns what was heard."""
        self.messages += 1
        self.heard_at = time.monotonic()
        event_ms = open_ms + (timeframe.milliseconds if closed else 0) + 5
        kline = Kline(symbol, timeframe, tuple(row(open_ms, timeframe)), closed, event_ms)
        self.hear(kline)
        return kline


@dataclass
class Sockets:
    """Opens them, and keeps what it opened."""

    opened: list[FakeSocket] = field(default_factory=list)
    refusing: str = ""

    def open(self, group: Group, hear: Hear) -> FakeSocket:
        if self.refusing:
            raise ExchangeUnavailable(self.refusing)
        self.opened.append(FakeSocket(group, hear))
        return self.opened[-1]


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait for a condition inside the event loop."""
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what or condition}"
        await asyncio.sleep(0.005)


@dataclass
class FakeLease:
    """Ours, until the test says whose it is."""

    held: Held = field(default_factory=lambda: Held(1, "here"))

    def hold(self) -> Held:
        return self.held


@dataclass
class FakeHeartbeats:
    written: list[Beat] = field(default_factory=list)

    def write(self, beat: Beat) -> None:
        self.written.append(beat)


class World:
    """A leader over an exchange whose clock the test moves: by itself no time goes by.

    `ahead`: how far a message may be ahead of what the leader has measured; the test moves the clock by minutes.
    """

    def __init__(self, ahead: timedelta = timedelta(hours=1)) -> None:
        self.ahead = ahead
        self.exchange = FakeExchange(at=datetime.fromtimestamp(NOON_MS / 1000, tz=FixedClock().now().tzinfo))
        self.store = MemoryStore()
        self.sockets = Sockets()
        self.events = RecordedEvents()
        self.lease = FakeLease()
        self.heartbeats = FakeHeartbeats()
        self.universe = Universe.of([A, B])
        self.asked_for: list[PassRequest] = []
        self.windows: CandleWindows = CandleSource(self.store, self.exchange)
        self.measured = 0
        self.leader = Leader(self._parts(), self._options(), Held(1, "here"))
        self.task: asyncio.Task[str] | None = None

    def _parts(self) -> FeedParts:
        return FeedParts(
            store=self.store,
            windows=self.windows,
            now=self.exchange.now,
            measure=self.measure,
            universe=lambda: self.universe,
            open_socket=self.sockets.open,
            room=lambda: 1000,
            enqueue=self.enqueue,
            lease=cast("Lease", self.lease),
            heartbeats=cast("Heartbeats", self.heartbeats),
            clock=FixedClock(),
            events=self.events,
            elapsed=lambda: 0.0,
        )

    def _options(self) -> FeedOptions:
        return FeedOptions(
            timeframes=(MINUTE, THREE),
            bars=20,
            keep=30,
            limits=Limits(symbols=10, mute_after_s=60),
            late_after=timedelta(seconds=2),
            decide=("1m",),
            ahead=self.ahead,
        )

    def measure(self) -> None:
        self.measured += 1

    def enqueue(self, requests: Sequence[PassRequest]) -> list[tuple[PassRequest, Exception]]:
        self.asked_for += requests
        return []

    async def begin(self) -> None:
        """Leading, and everything loaded."""
        self.task = asyncio.create_task(self.leader.lead())
        await until(self.is_complete, "the first load")
        await until(lambda: len(self.asked_for) == 2, "the decisions of the close that was loaded")
        self.asked_for.clear()
        self.exchange.asked.clear()

    def is_complete(self) -> bool:
        return (
            bool(self.heartbeats.written)
            and self.heartbeats.written[-1].behind == 0
            and bool(self.sockets.opened)
        )

    async def end(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def tell(self, symbol: str, open_ms: int, timeframe: Timeframe = MINUTE, *, closed: bool = True) -> None:
        """The exchange's clock is never behind what it has told: asked for the time, it would take it back."""
        kline = self.sockets.opened[-1].tell(symbol, open_ms, timeframe, closed=closed)
        told_at = datetime.fromtimestamp(kline.event_ms / 1000, tz=UTC)
        self.exchange.at = max(self.exchange.at, told_at)

    def tell_both(self, open_ms: int, timeframe: Timeframe = MINUTE) -> None:
        for symbol in (A, B):
            self.tell(symbol, open_ms, timeframe)

    def has_asked_for(self, count: int) -> bool:
        return len(self.asked_for) == count

    def has_measured(self) -> bool:
        """Whether no older time of the exchange is still on its way to the leader."""
        return self.heartbeats.written[-1].exchange_time >= self.exchange.at

    def stored(self, symbol: str, timeframe: Timeframe = MINUTE) -> list[list[float]]:
        return as_rows(self.store.kept[symbol, timeframe.name].candles)
