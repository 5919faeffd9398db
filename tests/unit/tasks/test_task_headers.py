"""Headers of a message: carried in both places, and read without trusting whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, Task
from celery._state import _task_stack
from celery.app.task import Context
from hypothesis import example, given
from hypothesis import strategies as st

from config.release import release
from pipeline.domain.decisions import Decision
from pipeline.trace.sentry import trace_headers
from tasks import headers
from tests.unit.stages.worlds import StageWorld

rubbish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
def decision() -> Decision:
    return StageWorld().open().decision


def nothing() -> None:
    """What a task does here."""


@pytest.fixture
def running(decision: Decision) -> Iterator[Task]:
    """A task of the decision that is being run in this thread."""
    app = Celery("headers-test", set_as_current=False)
    task = app.task(name="any", shared=False)(nothing)
    _task_stack.push(task)
    task.push_request(**decision.headers(), headers=None, called_directly=False, attempt=3)
    yield task
    task.pop_request()
    _task_stack.pop()


def published(**told: Any) -> dict[str, Any]:
    headers.carry(headers=told)
    return told


def own(message: dict[str, Any]) -> dict[str, Any]:
    return {name: message.get(name) for name in headers.NAMES}


def test_what_a_task_publishes_belongs_to_its_decision(running: Task, decision: Decision) -> None:
    """In both places: Sentry's integration keeps only the nested one, Celery's own tools read the other."""
    message = published()
    assert own(message) == own(message["headers"]) == decision.headers()


def test_a_message_that_names_a_decision_keeps_it(running: Task) -> None:
    """A task may publish for another decision: the sweeper does."""
    other = StageWorld().open("ETH/USDT:USDT").decision
    message = published(**other.headers())
    assert own(message) == own(message["headers"]) == other.headers()


def test_the_next_stage_does_not_inherit_the_attempts_of_this_one(running: Task) -> None:
    assert "attempt" not in published()


@pytest.mark.parametrize("nested", [False, True])
def test_a_retry_keeps_the_number_of_its_delivery(nested: bool) -> None:
    """The sweeper counts deliveries; a retry, which starts from one place or the other, must not lose the count."""
    told = {"decision_id": "d", "attempt": 3}
    message = published(**({"headers": told} if nested else told))
    assert message["attempt"] == message["headers"]["attempt"] == 3


def test_a_message_outside_a_decision_names_none_but_its_time_and_its_release() -> None:
    message = published(headers={"mine": 1})
    assert set(message) == {"headers", "published_at", "release"}
    assert set(message["headers"]) == {"mine", "published_at", "release"}


def test_a_message_that_is_sent_on_carries_the_release_of_who_sends_it() -> None:
    """Whoever receives it must know whose words it speaks."""
    assert published(release="0.0.1+old")["release"] == release()


def test_a_decision_has_a_trace_of_its_own_whoever_publishes(decision: Decision) -> None:
    """F8: beat publishes many decisions in one trace."""
    message = published(**decision.headers(), **{"sentry-trace": "of beat", "baggage": "of beat"})
    for place in (message, message["headers"]):
        assert place["sentry-trace"] == trace_headers(decision.decision_id)["sentry-trace"]
        assert "baggage" not in place


@pytest.mark.parametrize(
    ("told", "retries", "attempt"),
    [
        (None, 0, 1),
        (1, 0, 1),
        (3, 0, 3),
        (3, 2, 5),
        (None, 4, 5),
        (0, 0, 1),
        (-7, 1, 2),
        ("5", 0, 1),
        (True, 0, 1),
        (2.5, 0, 1),
        ([], 0, 1),
        (2, -3, 2),
        (2, "9", 2),
        (2, None, 2),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_attempts_count_from_one_whatever_the_header_says(
    told: object, retries: object, attempt: int, nested: bool
) -> None:
    place = {"headers": {"attempt": told}} if nested else {"attempt": told}
    assert headers.attempt(Context(**place, retries=retries)) == attempt


@given(rubbish, rubbish, rubbish)
@example("", None, None)
def test_rubbish_in_a_header_is_no_header(value: Any, nested: Any, retries: Any) -> None:
    """Whoever can write to Redis writes what he likes; reading it must not raise."""
    request = Context(decision_id=value, published_at=value, attempt=value, headers=nested, retries=retries)
    assert headers.read(request, "decision_id") == (value if isinstance(value, str) and value else None)
    assert headers.attempt(request) >= 1
    headers.published_at(request)


@pytest.mark.parametrize(
    "told", ["", "yesterday", "2026-01-02T03:04:05", "99999-01-01T00:00:00Z", 12, None, ["2026-01-02"]]
)
def test_a_time_of_publishing_that_is_none_is_unknown(told: object) -> None:
    """The queue wait is then unknown too, and nothing else."""
    assert headers.published_at(Context(published_at=told)) is None
