"""The decision's headers: on every message of the chain, in every way a task can be published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from celery import current_task
from celery.app.task import Context
from celery.signals import before_task_publish

from pipeline.domain.timeframes import SystemClock, from_iso, iso

NAMES = ("decision_id", "symbol", "slot", "mode", "config_hash", "enqueued_at")
PUBLISHED_AT = "published_at"
ATTEMPT = "attempt"


@before_task_publish.connect
def carry(headers: dict[str, Any] | None = None, **_: object) -> None:
    """Copy the running task's decision onto what it publishes, and stamp the time.

    Written in both places: Sentry's integration replaces the message's headers by the nested ones.
    """
    if headers is None:
        return
    nested = headers.setdefault("headers", None) or {}
    carried = {**_running(), **_present(headers), **_present(nested), PUBLISHED_AT: iso(SystemClock().now())}
    headers.update(carried)
    headers["headers"] = {**nested, **carried}


def _present(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: headers[name] for name in NAMES if headers.get(name)}


def _running() -> dict[str, Any]:
    """The headers of the task that runs in this thread, if one does."""
    task = current_task
    if not task or task.request.called_directly:
        return {}
    return {name: value for name in NAMES if (value := read(task.request, name))}


def read(request: Context, name: str) -> str | None:
    """A header of a received message, wherever it was put."""
    value = getattr(request, name, None) or (request.headers or {}).get(name)
    return value if isinstance(value, str) else None


def published_at(request: Context) -> datetime | None:
    """When the message was published; None when it does not say, or says rubbish."""
    text = read(request, PUBLISHED_AT)
    try:
        return from_iso(text) if text else None
    except ValueError:
        return None


def attempt(request: Context) -> int:
    """The number of this delivery as its publisher counts them, and Celery's retries on top."""
    told = (request.headers or {}).get(ATTEMPT)
    return (told if isinstance(told, int) and told > 0 else 1) + (request.retries or 0)
