"""What becomes of a decision whose message Celery gives up: too late to start, or too long at work.

Celery takes such a message for done, without a word. The sweeper would find the decision, later and with less to say:
it looks after the messages that are lost where no worker looks.
"""

from __future__ import annotations

from celery.app.task import Context, Task
from celery.exceptions import TimeLimitExceeded
from celery.signals import task_failure, task_revoked

from pipeline.domain.decisions import Stage
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import EndReason
from tasks import headers
from tasks.policies import stage_of
from tasks.services import services


@task_revoked.connect
def name_expired(
    sender: Task | None = None, request: Context | None = None, expired: bool = False, **_: object
) -> None:
    """The message was older than its `expires` when a worker looked at it."""
    stage = stage_of(sender.name) if sender is not None else None
    if stage is None or request is None or not expired:
        return
    reason = EndReason.NOT_STARTED if stage is Stage.FETCH else EndReason.DEADLINE
    waited = f"its {stage} message waited in the queue until {request.expires}: no worker was free"
    _end(headers.read(request, "decision_id"), stage, reason, waited)


@task_failure.connect
def name_killed(sender: Task | None = None, exception: object = None, **_: object) -> None:
    """The child that ran the stage did not stop at its soft time limit and was killed at the hard one."""
    stage = stage_of(sender.name) if sender is not None else None
    if stage is None or sender is None or not isinstance(exception, TimeLimitExceeded):
        return
    limit_s = sender.app.conf.task_time_limit
    overran = f"{stage} did not stop by itself and was killed after {limit_s:g} s (chain.hard_time_limit_s)"
    _end(headers.read(sender.request, "decision_id"), stage, EndReason.TIME_LIMIT, overran)


def _end(decision_id: str | None, stage: Stage, reason: EndReason, detail: str) -> None:
    """Unless the stage is done, by another delivery perhaps, or has sent an order: that one has its own end."""
    if decision_id is None:
        return
    here, known_as = services(), DecisionId(decision_id)
    with here.ledger.read() as unit:
        goes_on = unit.stages.get(known_as, stage) is not None or unit.orders.of(known_as)
    if not goes_on:
        here.runner.fail(known_as, reason, detail)
