"""What happens when a worker or one of its children starts, and when a message expires unstarted."""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import celeryd_init, setup_logging, task_failure, task_revoked, worker_process_init

from pipeline.domain.errors import ThroughlineError
from pipeline.domain.events import EventName
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import EndReason
from tasks.policies import ORDER_QUEUES
from tasks.services import configure_logging, services

log = logging.getLogger(__name__)


@celeryd_init.connect
def close_remote_control(conf: Any = None, options: dict[str, Any] | None = None, **_: object) -> None:
    """No remote control where orders are sent: whoever can write to Redis could stop or misuse such a worker."""
    queues = _names((options or {}).get("queues"))
    if not queues or queues & ORDER_QUEUES:
        conf.worker_enable_remote_control = False


def _names(queues: object) -> set[str]:
    if isinstance(queues, str):
        return set(queues.split(","))
    return {str(name) for name in queues} if isinstance(queues, (list, tuple, set)) else set()


@setup_logging.connect
def _logging(**_: object) -> None:
    configure_logging()


@worker_process_init.connect
def warm_up(**_: object) -> None:
    """Build the objects before the first message. What cannot be built now is tried again by each task."""
    try:
        services().warm_up()
    except ThroughlineError as error:
        log.warning("not ready yet: %s", error)


@task_failure.connect
def name_unfitting(
    sender: Any = None, exception: BaseException | None = None, task_id: str = "", **_: object
) -> None:
    """A call with arguments that its task does not take was made by hand, or by somebody who means harm."""
    if isinstance(exception, TypeError) and sender is not None:
        what = f"a message for {sender.name} failed on its arguments; nothing was done"
        services().events.emit(EventName.SECURITY, what=what, task_id=task_id, problem=str(exception)[:300])


@task_revoked.connect
def name_expired(request: Any = None, expired: bool = False, **_: object) -> None:
    """Celery drops an expired message without a word; the decision ends here, and says so.

    The sweeper does the same for messages that expire where no worker looks.
    """
    if not expired or request is None:
        return
    decision_id = request.request_dict.get("decision_id")
    if decision_id:
        detail = f"its {request.name} message waited in the queue until {request.expires}: no worker was free"
        services().runner.fail(DecisionId(decision_id), _expiry_reason(request.name), detail)


def _expiry_reason(task: str) -> EndReason:
    return EndReason.NOT_STARTED if task == "tasks.fetch" else EndReason.DEADLINE
