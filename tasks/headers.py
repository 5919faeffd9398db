"""The decision's headers: on every message of the chain, in every way a task can be published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from celery import current_task
from celery.app.task import Context
from celery.signals import before_task_publish

from config.release import release
from pipeline.domain.timeframes import SystemClock, from_iso, iso
from pipeline.trace import sentry

NAMES = ("decision_id", "symbol", "slot", "mode", "config_hash", "enqueued_at")
PUBLISHED_AT = "published_at"
RELEASE = "release"
ATTEMPT = "attempt"
OF_ONE_STAGE = (*NAMES, ATTEMPT)
"""What a message keeps over its retries. A stage's attempts are its own: the next stage does not inherit them."""


@before_task_publish.connect
def carry(headers: dict[str, Any] | None = None, **_: object) -> None:
    """Copy the running task's decision onto what it publishes, and stamp the time and our release.

    Written in both places: Sentry's integration replaces the message's headers by the nested ones, and a retry
    starts from the nested ones.
    """
    if headers is None:
        return
    nested = dict(headers.get("headers") or {})
    stamped = {PUBLISHED_AT: iso(SystemClock().now()), RELEASE: release()}
    carried = {**_running(), **_present(headers), **_present(nested), **stamped}
    traced = _trace(carried)
    for place in (nested, headers):
        place.update(carried)
        _join_trace(place, traced)
    headers["headers"] = nested


def _present(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: headers[name] for name in OF_ONE_STAGE if headers.get(name)}


def _running() -> dict[str, Any]:
    """The headers of the task that runs in this thread, if one does."""
    task = current_task
    if not task or task.request.called_directly:
        return {}
    return {name: value for name in NAMES if (value := read(task.request, name))}


def _trace(carried: Mapping[str, Any]) -> Mapping[str, str]:
    """The decision's own trace in place of the publisher's, who may publish many decisions or know no Sentry."""
    decision_id = carried.get("decision_id")
    return sentry.trace_headers(decision_id) if decision_id else {}


def _join_trace(headers: dict[str, Any], trace: Mapping[str, str]) -> None:
    if trace:
        headers.update(trace)
        headers.pop("baggage", None)  # it describes the publisher's trace


def read(request: Context, name: str) -> str | None:
    """A header of a received message, wherever it was put. None when there is none, or no text in it."""
    value = _header(request, name)
    return value if isinstance(value, str) and value else None


def published_at(request: Context) -> datetime | None:
    """When the message was published; None when it does not say, or says rubbish."""
    text = read(request, PUBLISHED_AT)
    try:
        return from_iso(text) if text else None
    except ValueError:
        return None


def attempt(request: Context) -> int:
    """The number of this delivery as its publisher counts them, and Celery's retries on top."""
    return max(1, _count(_header(request, ATTEMPT))) + _count(request.retries)


def _header(request: Context, name: str) -> object:
    nested = request.headers
    return getattr(request, name, None) or (nested.get(name) if isinstance(nested, dict) else None)


def _count(told: object) -> int:
    """Anybody may write a header: what is no count counts nothing."""
    return told if isinstance(told, int) and told > 0 else 0
