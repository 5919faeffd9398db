"""Each task's queue, time limits and deliveries, in one readable table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery.app.task import Task

from pipeline.domain.decisions import Decision, Stage

UPKEEP_QUEUE = "upkeep"
QUEUES = (*(stage.value for stage in Stage), UPKEEP_QUEUE)

ORDER_QUEUES = frozenset({Stage.VALIDATE.value, Stage.EXECUTE.value, UPKEEP_QUEUE})
"""Queues whose workers hold the exchange's key or the permit key: no remote control there."""


@dataclass(frozen=True, slots=True)
class TaskPolicy:
    """`expires_with` names the decision's instant after which the message is not worth starting."""

    queue: str
    expires_with: str | None = None
    retries: int = 0


POLICIES: dict[str, TaskPolicy] = {
    "tasks.fetch": TaskPolicy("fetch", expires_with="expires_at", retries=5),
    "tasks.evaluate": TaskPolicy("evaluate", expires_with="deadline_at", retries=5),
    "tasks.validate": TaskPolicy("validate", expires_with="deadline_at", retries=5),
    # An order that is out is resolved however late: only the router decides what may still be sent.
    "tasks.execute": TaskPolicy("execute", retries=5),
    "tasks.sweep": TaskPolicy(UPKEEP_QUEUE),
    "tasks.resolve": TaskPolicy(UPKEEP_QUEUE),
    "tasks.protect": TaskPolicy(UPKEEP_QUEUE),
    "tasks.look_after": TaskPolicy(UPKEEP_QUEUE),
    "tasks.refresh_equity": TaskPolicy(UPKEEP_QUEUE),
    "tasks.reconcile": TaskPolicy(UPKEEP_QUEUE),
    "tasks.guard": TaskPolicy(UPKEEP_QUEUE),
    "tasks.check_universe": TaskPolicy(UPKEEP_QUEUE),
}


def task_name(stage: Stage) -> str:
    return f"tasks.{stage.value}"


def stage_of(task: str) -> Stage | None:
    """The stage that a task runs; None for upkeep and for what is none of ours."""
    return next((stage for stage in Stage if task_name(stage) == task), None)


def publish_options(stage: Stage, decision: Decision) -> dict[str, Any]:
    """Celery's options for a stage's message, but for its headers."""
    policy = POLICIES[task_name(stage)]
    options: dict[str, Any] = {"queue": policy.queue}
    if policy.expires_with is not None:
        options["expires"] = getattr(decision, policy.expires_with)
    return options


def backoff_s(task: Task) -> float:
    """How long a task waits before its next try: 0.5, 1, 2 … at most 8 s, far below the visibility timeout."""
    return float(min(8.0, 0.5 * 2**task.request.retries))
