"""Sweeping: what the broker lost is found, resumed while there is time, and ended with its reason when not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from pipeline.domain.decisions import Advance, Decision, Stage, StageRecord, StageResult
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.stages.opening import Opened
from pipeline.stages.sweeping import Close, Leave, Resume, Standing, Sweeper, SweepOptions, next_step
from tests.unit.stages.worlds import ACCOUNT, NOON, OTHER, StageWorld, an_order

OPTIONS = SweepOptions(
    resume_after=timedelta(seconds=15), start_grace=timedelta(seconds=20), max_deliveries=3
)


@dataclass
class Swept:
    """A world with a sweeper whose publications are kept."""

    world: StageWorld = field(default_factory=StageWorld)
    published: list[tuple[Stage, str, int]] = field(default_factory=list)

    def sweep(self) -> dict[str, int]:
        def publish(stage: Stage, decision: Decision, attempt: int) -> None:
            self.published.append((stage, decision.decision_id, attempt))

        world = self.world
        return Sweeper(world.ledger, world.clock, world.events, ACCOUNT, OPTIONS, publish).sweep()

    def after(self, seconds: float) -> dict[str, int]:
        self.world.clock.turn(timedelta(seconds=seconds))
        return self.sweep()

    def finish(self, opened: Opened, *stages: Stage) -> None:
        for stage in stages:
            with self.world.ledger.begin() as unit:
                unit.stages.add(record(opened.decision, stage, self.world.clock.now()))


def record(decision: Decision, stage: Stage, at: datetime) -> StageRecord:
    return StageRecord(
        decision_id=decision.decision_id,
        stage=stage,
        task_id="t",
        host="h",
        worker="w",
        pid=1,
        attempt=1,
        queue_wait_ms=1.0,
        started_at=at,
        run_ms=5.0,
        result=StageResult.PASSED,
        output=Advance({}).output,
    )


def test_a_fetch_that_nobody_started_ends_as_not_started() -> None:
    """Celery drops an expired message without a word; the ledger must notice."""
    swept = Swept()
    opened = swept.world.open()
    assert swept.after(49)["closed"] == 0
    assert swept.after(2)["closed"] == 1
    assert swept.world.decision(opened).reason is EndReason.NOT_STARTED


@pytest.mark.parametrize(
    ("done", "lost"),
    [
        ([Stage.FETCH], Stage.EVALUATE),
        ([Stage.FETCH, Stage.EVALUATE], Stage.VALIDATE),
        ([Stage.FETCH, Stage.EVALUATE, Stage.VALIDATE], Stage.EXECUTE),
    ],
)
def test_a_lost_hand_off_is_published_again_and_counted(done: list[Stage], lost: Stage) -> None:
    """A flushed Redis may cost time, never a decision."""
    swept = Swept()
    opened = swept.world.open()
    swept.finish(opened, *done)
    swept.after(14)
    assert swept.published == []
    swept.after(2)
    assert swept.published == [(lost, opened.decision.decision_id, 2)]


def test_a_resumed_stage_gets_its_time_before_it_is_resumed_again() -> None:
    """A slow stage must not be published every few seconds."""
    swept = Swept()
    opened = swept.world.open()
    swept.finish(opened, Stage.FETCH)
    for _ in range(4):
        swept.after(8)
    assert [attempt for _, _, attempt in swept.published] == [2, 3]


def test_a_stage_that_is_lost_again_and_again_ends_the_decision() -> None:
    swept = Swept()
    opened = swept.world.open()
    swept.finish(opened, Stage.FETCH)
    for _ in range(3):
        swept.after(16)
    assert swept.world.decision(opened).reason is EndReason.KEEPS_DYING


def test_nothing_is_resumed_after_its_deadline() -> None:
    """An order for a market that has moved on is worse than none."""
    swept = Swept()
    opened = swept.world.open()
    swept.finish(opened, Stage.FETCH, Stage.EVALUATE)
    swept.after(61)
    assert swept.published == []
    assert swept.world.decision(opened).reason is EndReason.DEADLINE


def test_ended_decisions_are_left_alone() -> None:
    swept = Swept()
    opened = swept.world.open()
    with swept.world.ledger.begin() as unit:
        unit.decisions.end(opened.decision.decision_id, EndReason.NO_SIGNAL, "", NOON)
    assert swept.after(500) == {"open": 0, "resumed": 0, "closed": 0}


@pytest.mark.parametrize("seconds", [0, 20, 100, 100_000])
def test_a_decision_with_an_order_that_may_be_out_belongs_to_the_resolver(seconds: int) -> None:
    """Whatever the clock says: its fate is the exchange's to tell."""
    swept = Swept()
    decision = swept.world.open().decision
    standing = Standing(
        decision=decision,
        next_stage=Stage.EXECUTE,
        heard_at=NOON,
        deliveries=9,
        orders=[an_order(decision, OrderState.UNKNOWN)],
    )
    assert next_step(standing, NOON + timedelta(seconds=seconds), OPTIONS) == Leave()


def test_a_decision_whose_order_is_settled_is_resumed_to_report_it_even_after_its_deadline() -> None:
    """It sends nothing new; without it a filled order would stand under a decision that says it expired."""
    swept = Swept()
    decision = swept.world.open().decision
    standing = Standing(
        decision=decision,
        next_stage=Stage.EXECUTE,
        heard_at=NOON,
        deliveries=9,
        orders=[an_order(decision, OrderState.FILLED)],
    )
    assert next_step(standing, NOON + timedelta(hours=1), OPTIONS) == Resume(Stage.EXECUTE)


def test_what_another_account_has_open_is_left_to_its_own_sweeper() -> None:
    """Accounts may share a ledger: how long a decision may wait is its own account's to say."""
    swept = Swept()
    theirs = replace(swept.world, account=OTHER)
    unstarted, lost = theirs.open(), theirs.open(symbol="ETH/USDT:USDT")
    swept.finish(lost, Stage.FETCH)
    assert swept.after(100) == {"open": 0, "resumed": 0, "closed": 0}
    assert theirs.decision(unstarted).is_open
    assert theirs.decision(lost).is_open
    assert swept.published == []


def test_a_finished_stage_seen_late_is_not_closed() -> None:
    """Between the look and the lock the stage may have finished: then the sweeper was wrong, not the stage."""
    swept = Swept()
    opened = swept.world.open()
    step = Close(EndReason.NOT_STARTED, "seemed lost")
    standing = Standing(
        decision=opened.decision, next_stage=Stage.FETCH, heard_at=NOON, deliveries=1, orders=[]
    )
    swept.finish(opened, Stage.FETCH)
    world = swept.world
    sweeper = Sweeper(world.ledger, world.clock, world.events, ACCOUNT, OPTIONS, lambda *_: None)
    assert sweeper._close(standing, step) is False
    assert swept.world.decision(opened).is_open
