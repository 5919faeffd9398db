"""The four stage tasks: message handling here, the story in `pipeline.stages`."""

from __future__ import annotations

from celery.app.task import Context, Task

from pipeline.domain.decisions import Delivery, Stage
from pipeline.domain.errors import Transient, UnknownDecision
from pipeline.domain.events import EventName
from pipeline.domain.ids import DecisionId, task_id
from pipeline.domain.outcomes import EndReason
from pipeline.domain.timeframes import SystemClock
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.stages.running import Handoff
from tasks import headers
from tasks.app import app
from tasks.enqueue import enqueue_as_called
from tasks.policies import POLICIES, backoff_s, task_name
from tasks.publishing import publish
from tasks.services import decision_scope, services


@app.task(bind=True, name=task_name(Stage.FETCH), max_retries=POLICIES["tasks.fetch"].retries)
def fetch(self: Task, symbol: str) -> str:
    """Which closed bars does the decision see? Called by hand, without headers, it opens a decision first."""
    if headers.read(self.request, "decision_id") is None:
        return _called(self.request, symbol)
    return _run(self, Stage.FETCH, symbol)


@app.task(bind=True, name=task_name(Stage.EVALUATE), max_retries=POLICIES["tasks.evaluate"].retries)
def evaluate(self: Task, symbol: str) -> str:
    """What do the strategies make of those bars?"""
    return _run(self, Stage.EVALUATE, symbol)


@app.task(bind=True, name=task_name(Stage.VALIDATE), max_retries=POLICIES["tasks.validate"].retries)
def validate(self: Task, symbol: str) -> str:
    """Does the governor permit it?"""
    return _run(self, Stage.VALIDATE, symbol)


@app.task(bind=True, name=task_name(Stage.EXECUTE), max_retries=POLICIES["tasks.execute"].retries)
def execute(self: Task, symbol: str) -> str:
    """Place the permitted order, once."""
    return _run(self, Stage.EXECUTE, symbol)


def _called(request: Context, symbol: str) -> str:
    """What a bare call names itself by makes it one pass; a call that does not say when it was made may be any age."""
    at = headers.published_at(request)
    if at is None:
        what = f"a call of tasks.fetch that does not say when it was made ({headers.PUBLISHED_AT}); nothing was done"
        services().events.emit(EventName.SECURITY, what=what, task_id=request.id)
        return "dropped"
    decision = enqueue_as_called(symbol, at, request.id)
    return f"{decision.decision_id} {decision.reason or 'enqueued'}"


def _run(task: Task, stage: Stage, symbol: str) -> str:
    """One delivery of one stage. What it returns is for the eyes of Flower's users."""
    decision_id = DecisionId(headers.read(task.request, "decision_id") or "")
    with decision_scope(task.request, stage):
        try:
            services().take_part()
            handoff = services().runner.run(
                stage, decision_id, _delivery(task.request, decision_id, stage), symbol
            )
        except Transient as error:
            if task.request.retries >= task.max_retries:
                return _give_up(decision_id, stage, error)
            raise task.retry(exc=error, countdown=backoff_s(task)) from error
        except UnknownDecision as error:
            services().events.emit(EventName.SECURITY, what=str(error), task_id=task.request.id)
            return "dropped"
        if handoff is None:
            return "ended"
        publish(handoff.stage, handoff.decision, attempt=handoff.attempt)
        reached(CrashPoint.HANDED_ON, symbol)
        _tell_queued(handoff)
        return f"passed to {handoff.stage}"


def _tell_queued(handoff: Handoff) -> None:
    """From evaluate on there is a signal; it must be seen whether anybody takes it up."""
    if handoff.stage is not Stage.EVALUATE:
        queued = task_id(handoff.decision.decision_id, handoff.stage.value)
        services().events.emit(EventName.SIGNAL_QUEUED, queue=handoff.stage.value, queued_task_id=queued)


def _give_up(decision_id: DecisionId, stage: Stage, error: Transient) -> str:
    """What the stage needs stays out of reach: the decision ends with that cause, not as somebody's lost message.

    Where it is the ledger itself that is away, this raises too, and the sweeper ends the decision later.
    """
    services().runner.fail(decision_id, EndReason.UNAVAILABLE, f"{stage} gave up: {error}")
    return "gave up"


def _delivery(request: Context, decision_id: DecisionId, stage: Stage) -> Delivery:
    now = SystemClock().now()
    worker = request.hostname or ""
    return Delivery(
        task_id=request.id,
        host=worker.partition("@")[2],
        worker=worker,
        pid=services().pid,
        attempt=_attempt(request, decision_id, stage),
        received_at=now,
        published_at=headers.published_at(request),
        retries=request.retries or 0,
    )


def _attempt(request: Context, decision_id: DecisionId, stage: Stage) -> int:
    """First deliveries cost nothing; only what the broker delivers again is counted, in the ledger."""
    if not (request.delivery_info or {}).get("redelivered"):
        return headers.attempt(request)
    with services().ledger.begin() as unit:
        return unit.stages.count_delivery(decision_id, stage, SystemClock().now()) + (request.retries or 0)
