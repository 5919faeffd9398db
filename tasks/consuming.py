"""The worker's reader of messages: what is no task message is dropped by name.

What is no envelope at all does not come this far: see `tasks.transport`.

Celery refuses pickles and unknown tasks by itself. But a message of its own form with rubbish inside ends the worker,
goes back to its queue, and ends the next one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import NoneType
from typing import Any

from celery.worker.consumer import Consumer
from celery.worker.request import Request
from kombu.message import Message

from config.release import release
from pipeline.domain.events import EventName
from tasks.giving_up import name_other_release
from tasks.headers import RELEASE
from tasks.services import services

log = logging.getLogger(__name__)

LONGEST = 300

REFUSED_PAUSE_S = 2.0
"""A Redis that answers is connected to at once: without a pause a worker would do that hundreds of times a second."""

SHAPE: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "task": str,
    "root_id": (str, NoneType),
    "parent_id": (str, NoneType),
    "group": (str, NoneType),
    "shadow": (str, NoneType),
    "eta": (str, NoneType),
    "expires": (str, NoneType),
    "retries": (int, NoneType),
    "timelimit": (list, NoneType),
    "argsrepr": (str, NoneType),
    "kwargsrepr": (str, NoneType),
    "headers": (dict, NoneType),
    "stamps": (dict, NoneType),
    "stamped_headers": (list, NoneType),
}
"""The headers that Celery's message protocol 2 gives a meaning."""


class QuickRequest(Request):
    """Celery's own, which spends a tenth of its time on when a message expires: it looks up its time zone for each,
    and reads more notations than anybody writes.
    """

    _tzlocal = UTC

    def __init__(self, message: Message, **told: Any) -> None:
        super().__init__(message, **told, maybe_iso8601=instant)


def instant(told: str | datetime) -> datetime:
    """Raises: ValueError when the text names none."""
    return datetime.fromisoformat(told) if isinstance(told, str) else told


class CarefulConsumer(Consumer):
    """Celery's own, but for what it does with rubbish: nothing, and it says so as a security event.

    And but for a Redis that answers, and refuses: after a failover, say, when it is a replica. It waits a moment before
    it connects again.
    """

    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        super().on_connection_error_before_connected(exc)
        self._pause_if_refused(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        super().on_connection_error_after_connected(exc)
        self._pause_if_refused(exc)

    def _pause_if_refused(self, error: Exception) -> None:
        """As Celery does while Redis is away: nothing else happens in this process meanwhile, its children go on."""
        if isinstance(error, self.channel_errors):
            log.warning("Redis refuses, the next try is in %g s: %s", REFUSED_PAUSE_S, error)
            time.sleep(REFUSED_PAUSE_S)

    def update_strategies(self) -> None:
        for task in self.app.tasks.values():
            task.Request = QuickRequest
        super().update_strategies()

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

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Message], None]:
        """What is called with each message."""
        handle: Callable[[Message], object] = super().create_task_handler(*args, **options)

        def look_first(message: Message) -> None:
            problem = problem_of(message)
            if problem is not None:
                self._drop(message, problem)
            elif theirs := other_release(message):
                self._refuse(message, theirs)
            else:
                handle(message)

        return look_first

    def _drop(self, message: Message, problem: str) -> None:
        message.reject_log_error(log, self.connection_errors)  # type: ignore[no-untyped-call]  # kombu has no types
        queue = (message.delivery_info or {}).get("routing_key")
        _tell("a message that is no task", f"{problem}; queue {queue}")

    def _refuse(self, message: Message, theirs: str) -> None:
        """Its decision ends, and says why: what another release means by the same words, nobody knows here."""
        message.reject_log_error(log, self.connection_errors)  # type: ignore[no-untyped-call]  # kombu has no types
        services().events.emit(
            EventName.OTHER_RELEASE, task=str(message.headers["task"]), theirs=theirs, ours=release()
        )
        name_other_release(message.headers, theirs)


def _tell(what: str, problem: str) -> None:
    services().events.emit(EventName.SECURITY, what=f"{what} was dropped", problem=problem[:LONGEST])


def other_release(message: Message) -> str:
    """The release of a message that is not of ours; empty when it is, or does not say: not every program is ours."""
    told = message.headers.get(RELEASE)
    return told[:LONGEST] if isinstance(told, str) and told != release() else ""


def problem_of(message: Message) -> str | None:
    """Why a message is none that a worker can run; None when it looks like one."""
    headers = message.headers
    if not isinstance(headers, dict):
        return "it has no headers"
    for name, kinds in SHAPE.items():
        if not isinstance(headers.get(name), kinds):
            return f"its header {name} is {headers.get(name)!r:.80}"
    return _problem_of_limits(headers.get("timelimit")) or _problem_of_body(message)


def _problem_of_limits(limits: list[object] | None) -> str | None:
    if limits is None or (
        len(limits) == 2 and all(isinstance(each, (int, float, NoneType)) for each in limits)
    ):
        return None
    return f"its header timelimit is {limits!r:.80}"


def _problem_of_body(message: Message) -> str | None:
    try:
        body = message.payload
    except Exception as error:  # noqa: BLE001 - whatever reading it raises, it cannot be run
        return f"its body cannot be read: {error!r:.200}"
    if isinstance(body, list) and [type(part) for part in body] == [list, dict, dict]:
        return None
    return "its body holds no arguments"
