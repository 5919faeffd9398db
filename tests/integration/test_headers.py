"""The decision's headers are on every message, in every way a task can be published, with Sentry on and off."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pipeline.domain.decisions import Stage
from pipeline.domain.ids import task_id
from pipeline.trace.sentry import trace_id
from tests.support.sentry_sink import SentrySink
from tests.support.waiting import eventually
from tests.support.ways import DECISION, LONGEST, PUBLISHING
from tests.support.ways_worker import WaysWorker

TWICE = {"killed child": "ways.dies", "retry": "ways.retries"}
ONCE = ["apply_async", "by hand", "own headers", "send_task", "before link", "link", "link_error"]
ONCE += ["chain", "chain, second", "replace"]
LARGEST_MESSAGE = 4096


def ask_for_every_way(worker: WaysWorker) -> None:
    """By a stranger: only what the worker's own tasks publish is carried on."""
    decision = {"headers": DECISION.headers(), "root_id": DECISION.decision_id, "queue": "upkeep"}
    for way, task in {**TWICE, "replace": "ways.replaces"}.items():
        worker.stranger.send_task(task, args=[way], task_id=f"{DECISION.decision_id}.{way}", **decision)
    for way in PUBLISHING:
        worker.stranger.send_task("ways.publishes", args=[way], **decision)
    worker.stranger.send_task("ways.seen", args=["no decision"], queue="upkeep")
    worker.stranger.send_task("ways.publishes_stages", args=[3], queue="upkeep")


@pytest.fixture(scope="module")
def sink() -> Iterator[SentrySink]:
    server = SentrySink()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def workers(sink: SentrySink) -> Iterator[dict[str, WaysWorker]]:
    """One with Sentry as the pipeline starts it, one without; both are at work at the same time."""
    on = {"THROUGHLINE_SENTRY_DSN": sink.dsn, "THROUGHLINE_SENTRY_TRACES_SAMPLE_RATE": "1"}
    found = {"Sentry on": WaysWorker(on), "Sentry off": WaysWorker()}
    for worker in found.values():
        ask_for_every_way(worker)
    yield found
    for worker in found.values():
        worker.stop()


@pytest.fixture(params=["Sentry on", "Sentry off"])
def worker(request: pytest.FixtureRequest, workers: dict[str, WaysWorker]) -> WaysWorker:
    return workers[str(request.param)]


@pytest.mark.parametrize("way", [*ONCE, *TWICE])
def test_a_decisions_headers_are_on_every_message(worker: WaysWorker, way: str) -> None:
    """A3. In both places, and every delivery knows the root that its decision is."""
    for message in worker.seen(way, times=1 + (way in TWICE)):
        assert message["headers"] == message["nested"] == DECISION.headers()
        assert message["root_id"] == DECISION.decision_id


@pytest.mark.parametrize("way", TWICE)
def test_a_second_delivery_keeps_its_task_id(worker: WaysWorker, way: str) -> None:
    """A4: Flower shows one task for a stage, however often it was tried."""
    first, second = worker.seen(way, times=2)
    assert first["task_id"] == second["task_id"] == f"{DECISION.decision_id}.{way}"
    assert (second["attempt"], second["redelivered"]) == ((2, False) if way == "retry" else (1, True))


def test_a_message_of_no_decision_does_not_get_one(worker: WaysWorker) -> None:
    """The process that runs it has just run tasks of a decision."""
    (message,) = worker.seen("no decision")
    assert set(message["headers"].values()) == set(message["nested"].values()) == {None}


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stages_message_names_its_decision_as_task_root_and_header_and_is_small(
    worker: WaysWorker, stage: Stage
) -> None:
    """A4 and B6: messages carry references, never tables; the largest one is no larger than a page."""
    (message,) = eventually(lambda: worker.queued(stage), 20, f"a message for {stage}")
    envelope = json.loads(message)
    told = envelope["headers"]
    assert (told["id"], told["root_id"]) == (task_id(LONGEST.decision_id, stage), LONGEST.decision_id)
    assert LONGEST.headers().items() <= told.items()
    assert LONGEST.headers().items() <= told["headers"].items()
    assert told["attempt"] == told["headers"]["attempt"] == 3
    assert envelope["content-type"] == "application/json"
    assert len(message) < LARGEST_MESSAGE


def test_sentry_was_on_and_saw_one_trace_of_the_decision(
    workers: dict[str, WaysWorker], sink: SentrySink
) -> None:
    """F8: all that its tasks publish is in the trace that anybody can compute from its id."""
    expected = [*ONCE, "no decision"]
    for way in expected:
        workers["Sentry on"].seen(way)
    traces = eventually(
        lambda: _traces(sink, "ways.seen", len(expected)), 20, "the transactions of ways.seen"
    )
    assert traces.count(trace_id(DECISION.decision_id)) == len(ONCE)


def _traces(sink: SentrySink, task: str, wanted: int) -> list[str] | None:
    own = [each for each in sink.of("transaction") if each["transaction"] == task]
    return [each["contexts"]["trace"]["trace_id"] for each in own] if len(own) >= wanted else None
