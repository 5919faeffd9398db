"""What the feed is made of and told; `pipeline.bootstrap` puts it together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.domain.events import Events
from pipeline.domain.ports import Clock, MarketData
from pipeline.domain.timeframes import Timeframe
from pipeline.exchange.klines import Hear
from pipeline.governor.universe import Universe
from pipeline.lease import Lease
from pipeline.market.feed.connections import Limits, Socket
from pipeline.market.feed.heartbeat import Heartbeats
from pipeline.market.feed.plan import Group
from pipeline.market.source import BarStore
from pipeline.stages.opening import PassRequest
from pipeline.stages.ports import CandleWindows

ASTRAY_MS = 90_000
"""The exchange's clock is measured once a minute; what is further behind ours is not just old."""
FAR_MS = 2 * 3_600_000
"""A message may be ahead of what was measured where somebody moves a simulated clock by hand, but not for ever."""


Enqueue = Callable[[Sequence[PassRequest]], Sequence[tuple[PassRequest, Exception]]]
"""Asks for decisions; returns those that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """`bars` of each timeframe make a window, `keep` are stored.

    `decide`: the timeframes at whose close a decision is asked for, up to `decide_within` after it.
    `late_after`: a bar that has not come by then is asked for.
    """

    timeframes: tuple[Timeframe, ...]
    bars: int
    keep: int
    limits: Limits
    late_after: timedelta
    decide: tuple[str, ...] = ()
    decide_within: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedParts:
    """`windows` asks the exchange for what the store lacks; `enqueue` asks for decisions; `room` says how many
    symbols the rate budget lets us load now. All block.

    `alive` is called by the event loop each time it comes round. `elapsed` counts the seconds that go by.
    """

    store: BarStore
    windows: CandleWindows
    market: MarketData
    universe: Callable[[], Universe]
    open_socket: Callable[[Group, Hear], Socket]
    enqueue: Enqueue
    room: Callable[[], int]
    lease: Lease
    heartbeats: Heartbeats
    clock: Clock
    events: Events
    alive: Callable[[], None] = lambda: None
    elapsed: Callable[[], float] = time.monotonic


class ExchangeTime:
    """The exchange's clock as the feed knows it: the latest that it was told, and what has gone by since.

    Where the exchange's clock runs faster than ours (a simulated one), it is behind until it is told again.
    """

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._elapsed = elapsed
        self._told_ms = 0
        self._told_at = elapsed()

    @property
    def is_known(self) -> bool:
        return self._told_ms > 0

    @property
    def now_ms(self) -> int:
        return self._told_ms + int((self._elapsed() - self._told_at) * 1000)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)

    def told(self, at_ms: int) -> None:
        """A message said that it was that late; ours does not go back for it."""
        if at_ms > self.now_ms:
            self._set(at_ms)

    def measured(self, at_ms: int) -> None:
        """The exchange was asked. Where messages have led ours astray, this corrects it."""
        if at_ms > self.now_ms or self.now_ms - at_ms > ASTRAY_MS:
            self._set(at_ms)

    def is_far_ahead(self, at_ms: int) -> bool:
        """Whether a message names a time that cannot be."""
        return self.is_known and at_ms > self.now_ms + FAR_MS

    def _set(self, at_ms: int) -> None:
        self._told_ms, self._told_at = at_ms, self._elapsed()
