"""Publishing a stage's message: the only place where the chain is handed on."""

from __future__ import annotations

from typing import Any

from pipeline.domain import ids
from pipeline.domain.decisions import Decision, Stage
from tasks.app import app
from tasks.headers import ATTEMPT
from tasks.policies import publish_options, task_name

NOTHING: list[object] = []
"""What is to be declared before publishing. A queue in Redis needs no declaration, and kombu loses a message when Redis
goes away in the middle of one: it declares again, then publishes on the connection that is closed."""


SCHEDULED: dict[str, Any] = {
    "retry_policy": {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
}
"""For who asks for passes again and again: no minute of waiting for Redis as in a stage, the next one comes soon."""


def publish(stage: Stage, decision: Decision, *, attempt: int = 1, **options: Any) -> None:
    """Send a stage's message with the decision's headers, its derived task id and its root id.

    Raises: kombu's OperationalError when the broker stays away longer than the publish policy tries.
    """
    headers: dict[str, Any] = dict(decision.headers())
    if attempt > 1:
        headers[ATTEMPT] = attempt
    app.send_task(
        task_name(stage),
        args=(decision.symbol,),
        task_id=ids.task_id(decision.decision_id, stage.value),
        root_id=decision.decision_id,
        headers=headers,
        declare=NOTHING,
        **{**publish_options(stage, decision), **options},
    )
