"""Celery's consumer, which also says as a security event what it refuses: messages that none of ours
published.
"""

from __future__ import annotations

from typing import Any

from celery.worker import consumer

from pipeline.domain.events import EventName
from pipeline.trace.events import LoggedEvents

LONGEST = 300


class Consumer(consumer.Consumer):
    """Named in Celery's settings as the worker's consumer. Refused messages are acknowledged: they never
    come again.
    """

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        _tell("a message whose content cannot be read", repr(exc))
        super().on_decode_error(message, exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        _tell("a message that is no task", repr(message.headers))
        super().on_unknown_message(body, message)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        _tell("a message for a task that does not exist", repr(exc))
        super().on_unknown_task(body, message, exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        _tell("a message that is no valid task", repr(exc))
        super().on_invalid_task(body, message, exc)


def _tell(what: str, problem: str) -> None:
    LoggedEvents().emit(
        EventName.SECURITY, what=f"{what} was dropped; nothing was done", problem=problem[:LONGEST]
    )
