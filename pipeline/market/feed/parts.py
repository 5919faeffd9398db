"""What the feed is made of and told; `pipeline.bootstrap` puts it together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.domain.events import Events
from pipeline.domain.ports import Clock
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

DOUBTED_AGAIN_S = 5.0
"""An exchange whose messages name impossible times again and again is asked for its clock no more often."""


Enqueue = Callable[[Sequence[PassRequest]], Sequence[tuple[PassRequest, Exception]]]
"""Asks for decisions; returns those that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """`bars` of each timeframe make a window, `keep` are stored.

    `decide`: the timeframes at whose close a decision is asked for, up to `decide_within` after it.
    `late_after`: a bar that has not come by then is asked for.
    `ahead`: a message that is further ahead of the exchange's clock is not believed.
    """

    timeframes: tuple[Timeframe, ...]
    bars: int
    keep: int
    limits: Limits
    late_after: timedelta
    ahead: timedelta
    decide: tuple[str, ...] = ()
    decide_within: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedParts:
    """`windows` asks the exchange for what the store lacks; `enqueue` asks for decisions; `room` says how many
    symbols the rate budget lets us load now. `now` is the exchange's clock, by the offset last measured, and `measure`
    has it measured anew. All block.

    `alive` is called by the event loop each time it comes round. `elapsed` counts the seconds that go by.
    """

    store: BarStore
    windows: CandleWindows
    now: Callable[[], datetime]
    measure: Callable[[], object]
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
    """The exchange's clock as the feed knows it: what was measured last, what has gone by since, and never less than
    what a message said of itself.

    Where the exchange's clock runs faster than ours (a simulated one), it is behind until it is told again. It tells
    what is late, and what to have a decision for. What is closed it does not tell: a message may be wrong.
    """

    def __init__(self, ahead: timedelta, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._ahead_ms = round(ahead.total_seconds() * 1000)
        self._elapsed = elapsed
        self._measured_ms = 0
        self._measured_at = elapsed()
        self._heard_ms = 0
        self._doubt_after = float("-inf")
        self.is_doubted = False
        """Whether a message names a time that cannot be: either it is wrong, or what was measured is."""

    @property
    def is_known(self) -> bool:
        return self._measured_ms > 0 or self._heard_ms > 0

    @property
    def now_ms(self) -> int:
        return max(self._now_measured_ms, self._heard_ms)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)

    def told(self, at_ms: int) -> bool:
        """A message said that it was that late. False when that cannot be."""
        if self._measured_ms and at_ms > self._now_measured_ms + self._ahead_ms:
            self.is_doubted = self._elapsed() >= self._doubt_after
            return False
        self._heard_ms = max(self._heard_ms, at_ms)
        return True

    def measured(self, at_ms: int) -> None:
        """The exchange was asked: what it says now holds, and messages that were far ahead of it were wrong."""
        self._measured_ms, self._measured_at = at_ms, self._elapsed()
        if self._heard_ms > at_ms + self._ahead_ms:
            self._heard_ms = 0

    def no_more_doubt(self) -> None:
        """Its clock is measured anew now."""
        self.is_doubted, self._doubt_after = False, self._elapsed() + DOUBTED_AGAIN_S

    @property
    def _now_measured_ms(self) -> int:
        return self._measured_ms + int((self._elapsed() - self._measured_at) * 1000)
