"""What becomes of a decision whose message is given up: too late to start, too long at work, of another release.

Celery takes such a message for done, without a word. The sweeper would find the decision, later and with less to say:
it looks after the messages that are lost where no worker looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from celery.app.task import Context, Task
from celery.exceptions import TimeLimitExceeded
from celery.signals import task_failure, task_revoked

from config.release import release
from pipeline.domain.decisions import Stage
from pipeline.domain.errors import LedgerUnavailable
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


def name_other_release(told: Mapping[str, object], theirs: str) -> None:
    """The message was published by processes that run other code than this worker."""
    task, decision_id = told.get("task"), told.get("decision_id")
    stage = stage_of(task) if isinstance(task, str) else None
    if stage is None or not isinstance(decision_id, str):
        return
    detail = (
        f"its {stage} message is of release {theirs}, and this worker runs {release()}: see docs/hosts.md"
    )
    with suppress(LedgerUnavailable):
        _end(decision_id, stage, EndReason.OTHER_RELEASE, detail)


def _end(decision_id: str | None, stage: Stage, reason: EndReason, detail: str) -> None:
    """Unless the stage is done, by another delivery perhaps, or has sent an order: that one has its own end."""
    if decision_id is None:
        return
    here, known_as = services(), DecisionId(decision_id)
    with here.ledger.read() as unit:
        goes_on = unit.stages.get(known_as, stage) is not None or unit.orders.of(known_as)
    if not goes_on:
        here.runner.fail(known_as, reason, detail)
