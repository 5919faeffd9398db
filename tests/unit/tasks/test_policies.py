"""The table of tasks: each stage has its task, its queue and limits that fit the broker's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.sections.processes import ChainSettings
from config.settings import Settings
from console import roles
from pipeline.domain.decisions import Decision, Stage
from tasks.app import app
from tasks.policies import (
    ORDER_QUEUES,
    POLICIES,
    QUEUES,
    UPKEEP_QUEUE,
    backoff_s,
    publish_options,
    stage_of,
    task_name,
)
from tasks.settings import celery_settings
from tasks.stages import evaluate, execute, fetch, validate
from tasks.upkeep import check_universe, guard, look_after, protect, reconcile, refresh_equity, resolve, sweep
from tests.unit.stages.worlds import StageWorld

STAGES = {Stage.FETCH: fetch, Stage.EVALUATE: evaluate, Stage.VALIDATE: validate, Stage.EXECUTE: execute}
seconds = st.floats(0.1, 40)


@pytest.fixture
def decision() -> Decision:
    return StageWorld().open().decision


@pytest.mark.parametrize("stage", list(Stage))
def test_each_stage_has_its_task_and_a_queue_of_its_name(stage: Stage) -> None:
    """A2: hosts can be given the stages that suit them."""
    assert STAGES[stage].name == task_name(stage)
    assert POLICIES[task_name(stage)].queue == stage.value
    assert stage_of(task_name(stage)) is stage


def test_the_table_names_the_tasks_that_there_are_and_no_others() -> None:
    """A task without a policy would go to the wrong queue; a policy without a task says nothing."""
    upkeep = (sweep, resolve, protect, look_after, refresh_equity, reconcile, guard, check_universe)
    known = {task.name for task in (*STAGES.values(), *upkeep)}
    registered = {name for name in app.tasks if not name.startswith("celery.")}
    assert set(POLICIES) == known
    assert known <= registered


def test_every_queue_is_consumed_by_what_up_starts() -> None:
    """I3: signals in a queue that nobody consumed."""
    consumed = [queue for of_worker in roles.QUEUES_OF.values() for queue in of_worker]
    assert sorted(consumed) == sorted(QUEUES) == sorted(roles.QUEUES)
    assert {policy.queue for policy in POLICIES.values()} == set(QUEUES)


def test_upkeep_is_no_stage() -> None:
    assert [stage_of(name) for name in ("tasks.sweep", "", "tasks.other")] == [None, None, None]
    assert UPKEEP_QUEUE in ORDER_QUEUES


@pytest.mark.parametrize("stage", list(Stage))
def test_a_message_expires_when_its_decision_says_so_but_an_order_is_always_followed_up(
    decision: Decision, stage: Stage
) -> None:
    """A late fetch trades on yesterday's market; an execution that is never looked at leaves an order alone."""
    expected = {Stage.FETCH: decision.expires_at, Stage.EXECUTE: None}.get(stage, decision.deadline_at)
    options = publish_options(stage, decision)
    assert (options["queue"], options.get("expires")) == (stage.value, expected)


@pytest.mark.parametrize("retries", range(12))
def test_no_retry_waits_near_the_visibility_timeout(retries: int) -> None:
    """A message that waits longer than it is run two or three times at once."""
    fetch.push_request(retries=retries)
    try:
        assert 0.5 <= backoff_s(fetch) <= 8
    finally:
        fetch.pop_request()


@pytest.mark.parametrize("stage", list(Stage))
def test_retries_are_those_of_the_table(stage: Stage) -> None:
    assert STAGES[stage].max_retries == POLICIES[task_name(stage)].retries > 0


@given(seconds, seconds, st.integers(10, 60))
def test_no_settings_let_a_task_run_into_the_visibility_timeout(
    soft: float, hard: float, visible: int
) -> None:
    """Then it would be delivered a second time while it runs."""
    try:
        chain = ChainSettings(soft_time_limit_s=soft, hard_time_limit_s=hard, visibility_timeout_s=visible)
    except ValidationError:
        assert not soft < hard < visible / 2
        return
    told = celery_settings(Settings(chain=chain))
    assert told["broker_transport_options"]["visibility_timeout"] == visible
    assert told["task_soft_time_limit"] < told["task_time_limit"] < visible / 2


def test_a_pass_may_start_for_a_cadence_and_send_until_its_deadline(decision: Decision) -> None:
    assert decision.expires_at - decision.enqueued_at == timedelta(seconds=30)
    assert decision.deadline_at - decision.enqueued_at == timedelta(seconds=60)
