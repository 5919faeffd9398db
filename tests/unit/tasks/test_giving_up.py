"""Messages that Celery drops or kills without a word: their decisions end with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, Task
from celery.app.task import Context
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.stages.running import Runner
from tasks import giving_up
from tests.unit.ledger.ledger_worlds import a_permit, a_stage, an_order
from tests.unit.stages.worlds import ACCOUNT, NOON, StageWorld

EXPIRES = "2026-03-01T12:00:30+00:00"


@dataclass
class GivenUp:
    """A decision, and Celery's word that it gave its message up."""

    world: StageWorld
    decision: Decision

    @property
    def now(self) -> Decision:
        with self.world.ledger.read() as unit:
            found = unit.decisions.get(self.decision.decision_id)
        assert found is not None
        return found

    def expire(self, task: str, expired: bool = True, **headers: Any) -> None:
        told = {**self.decision.headers(), **headers}
        request = Context(**told, expires=EXPIRES)
        giving_up.name_expired(sender=running(task, self.decision), request=request, expired=expired)

    def kill(self, task: str, exception: Exception | None = None) -> None:
        sender = running(task, self.decision)
        giving_up.name_killed(sender=sender, exception=exception or TimeLimitExceeded(25.0))

    def finish(self, stage: Stage) -> None:
        with self.world.ledger.begin() as unit:
            unit.stages.add(a_stage(self.decision.decision_id, stage))


def nothing() -> None:
    """What a task does here."""


def running(name: str, decision: Decision) -> Task:
    """A task as Celery hands it to its signals: with the request of the message that was given up."""
    app = Celery("giving-up-test", set_as_current=False)
    app.conf.task_time_limit = 25.0
    task = app.task(name=name, shared=False)(nothing)
    task.push_request(headers=decision.headers())
    return task


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> GivenUp:
    world = StageWorld()
    runner = Runner(world.ledger, world.clock, world.events, ACCOUNT, {}, max_deliveries=3)
    monkeypatch.setattr(giving_up, "services", lambda: SimpleNamespace(ledger=world.ledger, runner=runner))
    return GivenUp(world, world.open().decision)


WAYS: list[Callable[[GivenUp, str], None]] = [GivenUp.expire, GivenUp.kill]
both_ways = pytest.mark.parametrize("give_up", WAYS, ids=["expired", "killed"])


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        (Stage.FETCH, EndReason.NOT_STARTED),
        (Stage.EVALUATE, EndReason.DEADLINE),
        (Stage.VALIDATE, EndReason.DEADLINE),
    ],
)
def test_a_message_that_expired_ends_its_decision_and_names_the_stage(
    given_up: GivenUp, stage: Stage, reason: EndReason
) -> None:
    given_up.expire(f"tasks.{stage}")
    assert given_up.now.reason is reason
    assert stage.value in given_up.now.detail
    assert EXPIRES in given_up.now.detail


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stage_that_was_killed_at_its_time_limit_ends_its_decision(given_up: GivenUp, stage: Stage) -> None:
    """Celery acknowledges it like one that was done."""
    given_up.kill(f"tasks.{stage}")
    assert given_up.now.reason is EndReason.TIME_LIMIT
    assert stage.value in given_up.now.detail
    assert "25 s" in given_up.now.detail


@both_ways
def test_a_repeated_message_ends_nothing_when_its_stage_is_done(
    given_up: GivenUp, give_up: Callable[[GivenUp, str], None]
) -> None:
    """A second delivery waits behind the first one; the decision it is about may be two stages further on."""
    given_up.finish(Stage.FETCH)
    give_up(given_up, "tasks.fetch")
    assert given_up.now.is_open


@both_ways
@pytest.mark.parametrize("state", [OrderState.SENDING, OrderState.UNKNOWN, OrderState.FILLED])
def test_a_decision_with_an_order_is_left_to_whoever_learns_its_fate(
    given_up: GivenUp, state: OrderState, give_up: Callable[[GivenUp, str], None]
) -> None:
    """Failed, with a position on the exchange, would be a lie."""
    with given_up.world.ledger.begin() as unit:
        permit = a_permit(given_up.decision)
        unit.permits.add(permit)
        unit.orders.add(an_order(permit, state=state, sent_at=NOON))
    give_up(given_up, "tasks.execute")
    assert given_up.now.is_open


@both_ways
@pytest.mark.parametrize("task", ["tasks.sweep", "celery.ping", ""])
def test_what_is_no_stage_ends_no_decision(
    given_up: GivenUp, task: str, give_up: Callable[[GivenUp, str], None]
) -> None:
    give_up(given_up, task or "other")
    assert given_up.now.is_open


@pytest.mark.parametrize("decision_id", [5, ["x"], {"a": 1}, "dec_20260301_120000_ffffffffffff"])
def test_a_message_that_names_no_decision_of_ours_ends_none(given_up: GivenUp, decision_id: Any) -> None:
    given_up.expire("tasks.fetch", decision_id=decision_id)
    assert given_up.now.is_open


def test_a_message_that_was_revoked_by_hand_is_the_sweepers(given_up: GivenUp) -> None:
    given_up.expire("tasks.fetch", expired=False)
    assert given_up.now.is_open


@pytest.mark.parametrize("error", [ValueError("x"), SoftTimeLimitExceeded()], ids=repr)
def test_an_ordinary_failure_is_not_a_killed_child(given_up: GivenUp, error: Exception) -> None:
    """The stage itself names those, with their trace."""
    given_up.kill("tasks.fetch", error)
    assert given_up.now.is_open


def test_a_message_of_another_release_ends_its_decision_by_name(given_up: GivenUp) -> None:
    """What another release means by the same words, nobody knows here."""
    told = {"task": "tasks.evaluate", **given_up.decision.headers()}
    giving_up.name_other_release(told, "0.9.0+abc")
    assert given_up.now.reason is EndReason.OTHER_RELEASE
    assert "release 0.9.0+abc" in given_up.now.detail


def test_upkeep_of_another_release_ends_nothing(given_up: GivenUp) -> None:
    giving_up.name_other_release({"task": "tasks.sweep"}, "0.9.0+abc")
    assert given_up.now.is_open


def test_a_message_of_another_release_never_ends_a_decision_whose_order_is_out(given_up: GivenUp) -> None:
    """It ends as its order does."""
    with given_up.world.ledger.begin() as unit:
        permit = a_permit(given_up.decision)
        unit.permits.add(permit)
        unit.orders.add(an_order(permit, state=OrderState.SENDING, sent_at=NOON))
    giving_up.name_other_release({"task": "tasks.execute", **given_up.decision.headers()}, "0.9.0+abc")
    assert given_up.now.is_open
