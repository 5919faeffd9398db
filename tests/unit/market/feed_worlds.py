"""A feed made of fakes: sockets that a test speaks through, a lease and heartbeats in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.timeframes import Timeframe
from pipeline.exchange.klines import Hear, Kline
from pipeline.market.feed.plan import Group
from tests.unit.market.candle_worlds import row

LONG_S = 60.0


@dataclass
class FakeSocket:
    """A connection that says what the test says, and ends when the test wants it to."""

    group: Group
    hear: Hear
    messages: int = 0
    heard_at: float = field(default_factory=time.monotonic)
    closed: bool = False
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _why: str = ""

    async def follow(self) -> None:
        await self._ended.wait()
        raise ExchangeUnavailable(self._why)

    async def close(self) -> None:
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
