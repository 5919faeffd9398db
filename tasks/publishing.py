"""Publishing a stage's message: the only place where the chain is handed on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from celery import current_task
from kombu.messaging import Producer

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


def publish(
    stage: Stage, decision: Decision, *, attempt: int = 1, retry_policy: Mapping[str, float] | None = None
) -> None:
    """Send a stage's message with the decision's headers, its derived task id and its root id.

    Celery's own parts, but for `send_task`: what that looks up for each message is known here, and costs more than all
    that comes after it. Without a `retry_policy` it is that of the settings.
    Raises: kombu's OperationalError when the broker stays away longer than the publish policy tries.
    """
    with _producer() as producer:
        _send(producer, stage, decision, attempt, retry_policy)


def publish_all(
    stage: Stage, decisions: Sequence[Decision], *, retry_policy: Mapping[str, float] | None = None
) -> None:
    """The same message for many decisions, in one packet, tried once.

    Raises: kombu's errors, and RuntimeError when its connection is renewed meanwhile; what was sent is unknown then.
    """
    with _producer() as producer, producer.batch():  # type: ignore[no-untyped-call]  # no types
        for decision in decisions:
            _send(producer, stage, decision, 1, retry_policy)


def _send(
    producer: Producer,
    stage: Stage,
    decision: Decision,
    attempt: int,
    retry_policy: Mapping[str, float] | None,
) -> None:
    name, options = task_name(stage), publish_options(stage, decision)
    message = app.amqp.create_task_message(
        ids.task_id(decision.decision_id, stage.value),
        name,
        args=(decision.symbol,),
        argsrepr=repr((decision.symbol,)),
        kwargsrepr="{}",
        expires=options.pop("expires", None),
        root_id=decision.decision_id,
        parent_id=current_task.request.id if current_task else None,
        ignore_result=True,
    )
    headers: dict[str, Any] = dict(decision.headers())
    if attempt > 1:
        headers[ATTEMPT] = attempt
    app.amqp.send_task_message(
        producer, name, message, headers=headers, declare=NOTHING, retry_policy=retry_policy, **options
    )


@dataclass(slots=True)
class _Kept:
    """A process's producer. Taking one from Celery's pool and giving it back costs as much as a round trip."""

    producer: Producer
    used: Lock = field(default_factory=Lock)


_kept: dict[int, _Kept] = {}


def _new_producer() -> Producer:
    return Producer(app.connection_for_write(), auto_declare=False)  # type: ignore[no-untyped-call]  # no types


@contextmanager
def _producer() -> Iterator[Producer]:
    """One for each process, and one publisher at a time. After an error the next one begins anew."""
    pid = os.getpid()
    kept = _kept.get(pid) or _kept.setdefault(pid, _Kept(_new_producer()))
    with kept.used:
        try:
            yield kept.producer
        except BaseException:
            _kept.pop(pid, None)
            kept.producer.connection.release()
            raise
