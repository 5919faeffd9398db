"""Unchanged bars: judged once by a schedule, always by hand, again whenever anything about them is
different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from pipeline.domain.decisions import Decision, Origin, Stage
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.timeframes import CandleRange
from pipeline.governor.universe import Universe
from pipeline.stages.fetch import Fetch
from pipeline.stages.opening import Opener, PassRequest
from pipeline.stages.running import Handoff, Runner
from pipeline.strategies.candles import Candles
from pipeline.strategies.window import Window
from pipeline.testing import FakeMarketData
from tests.unit.stages.worlds import ACCOUNT, BTC, StageWorld, terms

CADENCE = timedelta(seconds=30)


def bars(last_close: float = 100.5, newest: int = 0) -> Candles:
    times = (np.arange(3, dtype=np.int64) + newest) * 60_000
    closes = np.array([100.0, 101.0, last_close])
    return Candles(times, closes.copy(), closes + 1, closes - 1, closes, np.ones(3))


@dataclass
class FakeWindows:
    """Shows the bars it was given."""

    candles: Candles = field(default_factory=bars)
    problem: str = ""

    def window(self, symbol: str, timeframes: Sequence[str], as_of: datetime, bars: int) -> Window:
        each = CandleRange(
            "1m", self.candles.opened_at(0), self.candles.opened_at(-1), 3, "store", self.problem
        )
        return Window(symbol, as_of, {"1m": self.candles}, (each,))

    def exact(self, symbol: str, ranges: Sequence[CandleRange]) -> Window:
        raise NotImplementedError("fetch never asks for it")


@dataclass
class Fetched:
    """A world in which passes are fetched, one after the other, and ended as the test wants."""

    world: StageWorld = field(default_factory=StageWorld)
    windows: FakeWindows = field(default_factory=FakeWindows)
    unchanged_for: timedelta | None = timedelta(minutes=2)

    def pass_over(
        self, origin: Origin = Origin.BEAT, *, dry_run: bool = False
    ) -> tuple[Decision, Handoff | None]:
        """The next pass, fetched: its decision as it stands now, and what is to be published."""
        now = self.world.clock.turn(CADENCE)
        request = PassRequest(symbol=BTC, slot=now, origin=origin, nonce=origin.value, dry_run=dry_run)
        opener = Opener(terms(), self.world.ledger, self.world.clock, self.world.events)
        opened = opener.open(request, "u1")
        delivery = self.world.delivery(opened.decision, Stage.FETCH)
        handoff = self.runner().run(Stage.FETCH, opened.decision.decision_id, delivery)
        return self.world.decision(opened), handoff

    def judged(self, reason: EndReason = EndReason.NO_SIGNAL) -> Decision:
        """A pass that went on and ended so."""
        decision, handoff = self.pass_over()
        assert handoff is not None
        self.runner().fail(decision.decision_id, reason, "")
        return decision

    def runner(self) -> Runner:
        fetch = Fetch(
            market=FakeMarketData(self.world.clock),
            windows=self.windows,
            universe=lambda: Universe.of([BTC]),
            timeframes=("1m",),
            bars=3,
            events=self.world.events,
            unchanged_for=self.unchanged_for,
        )
        return Runner(
            self.world.ledger, self.world.clock, self.world.events, ACCOUNT, {Stage.FETCH: fetch}, 3
        )


def test_a_second_pass_over_the_same_bars_ends_at_once_and_names_the_first() -> None:
    """Judging them again costs a worker and can say nothing new."""
    fetched = Fetched()
    first = fetched.judged()
    for _ in range(3):
        decision, handoff = fetched.pass_over()
        assert handoff is None
        assert (decision.outcome, decision.reason) == (Outcome.SKIPPED, EndReason.UNCHANGED)
        assert first.decision_id in decision.detail


def test_a_new_bar_is_judged() -> None:
    """The whole point of looking."""
    fetched = Fetched()
    fetched.judged()
    fetched.windows.candles = bars(newest=1)
    assert fetched.pass_over()[1] is not None


def test_a_bar_that_the_exchange_revised_is_judged_again() -> None:
    """The same times with another price are other bars."""
    fetched = Fetched()
    fetched.judged()
    fetched.windows.candles = bars(last_close=100.6)
    assert fetched.pass_over()[1] is not None


def test_a_pass_that_failed_or_was_blocked_is_judged_again() -> None:
    """An answer that never counted must not silence the next one."""
    for reason in (EndReason.STAGE_RAISED, EndReason.PERMIT_EXPIRED, EndReason.DEADLINE):
        fetched = Fetched()
        fetched.judged(reason)
        assert fetched.pass_over()[1] is not None


def test_who_asks_by_hand_is_always_answered() -> None:
    """A person who enqueues wants a verdict, not a reference."""
    fetched = Fetched()
    fetched.judged()
    for origin in (Origin.CLI, Origin.PYTHON, Origin.CALL):
        decision, handoff = fetched.pass_over(origin)
        assert handoff is not None
        fetched.runner().fail(decision.decision_id, EndReason.NO_SIGNAL, "")


def test_the_feed_skips_what_beat_has_judged() -> None:
    """Both name the same bars; neither doubles the other."""
    fetched = Fetched()
    fetched.judged()
    assert fetched.pass_over(Origin.FEED)[0].reason is EndReason.UNCHANGED


def test_bars_that_are_missing_are_said_to_be_missing() -> None:
    """Trouble comes before routine: a stale window is no reason to say that all is as before."""
    fetched = Fetched()
    fetched.judged()
    fetched.windows.problem = "stale: 3 bars behind"
    assert fetched.pass_over()[0].reason is EndReason.STALE_CANDLES


def test_it_can_be_switched_off() -> None:
    """For measuring, or for a strategy that is not pure."""
    fetched = Fetched(unchanged_for=None)
    fetched.judged()
    assert fetched.pass_over()[1] is not None


def test_it_is_right_after_the_cache_is_lost_because_it_never_was_in_it() -> None:
    """The ledger alone answers: nothing of it is in Redis, and a restarted process knows it as well."""
    fetched = Fetched()
    fetched.judged()
    reborn = Fetched(world=fetched.world, windows=FakeWindows())
    assert reborn.pass_over()[0].reason is EndReason.UNCHANGED
