"""What a worker makes of a message's instants: the same as Celery, sooner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import InvalidTaskError
from celery.worker.request import Request

from tasks.app import app
from tasks.consuming import QuickRequest


def request_of(kind: type[Request], **headers: object) -> Request:
    message: Any = SimpleNamespace(
        headers={"id": "any", "task": "celery.ping", **headers},
        body=b"[[], {}, {}]",
        payload=[[], {}, {}],
        content_type="application/json",
        content_encoding="utf-8",
        delivery_info={},
        properties={},
    )
    return kind(message, app=app, task=SimpleNamespace(ignore_result=True))


@pytest.mark.parametrize(
    "told",
    [
        None,
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:00.123456+00:00",
        "2026-03-01T12:00:00.123Z",
        "2026-03-01T14:00:00+02:00",
        "2026-03-01T12:00:00",
    ],
)
@pytest.mark.parametrize("name", ["expires", "eta"])
def test_an_instant_is_the_one_that_celery_reads(name: str, told: str | None) -> None:
    """A message that expires an hour late trades on an hour-old market."""
    ours, theirs = (getattr(request_of(kind, **{name: told}), name) for kind in (QuickRequest, Request))
    assert ours == theirs
    assert ours is None or ours.utcoffset() is not None


@pytest.mark.parametrize("told", ["soon", "2026-13-01T00:00:00+00:00", ""])
@pytest.mark.parametrize("name", ["expires", "eta"])
def test_what_names_no_instant_is_no_valid_message(name: str, told: str) -> None:
    """It is dropped by name: a message without its expiry must not run late."""
    with pytest.raises(InvalidTaskError):
        request_of(QuickRequest, **{name: told})


def test_a_message_that_is_too_old_has_expired_wherever_its_clock_stood() -> None:
    past = datetime.now(timezone(timedelta(hours=2))) - timedelta(seconds=5)
    assert request_of(QuickRequest, expires=past.isoformat()).maybe_expire()
    later = datetime.now(UTC) + timedelta(seconds=60)
    assert not request_of(QuickRequest, expires=later.isoformat()).maybe_expire()
