"""Every way in which a task can publish another, as tasks of the pipeline's own Celery application.

`celery -A tests.support.ways worker -Q upkeep` is a worker with the real settings, headers and start-up. What each
message had when it arrived is pushed to a list in Redis, for a test to read.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import redis
from celery import chain
from celery.app.task import Task

from pipeline.domain import ids
from pipeline.domain.decisions import Decision, Mode, Origin, Stage
from tasks import headers
from tasks.app import app
from tasks.publishing import publish

SEEN = "ways:seen"
SLOT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LONGEST_NAME = "1000000MOGWHATEVER/USDT:USDT"

DECISION = Decision(
    decision_id=ids.decision_id(LONGEST_NAME, SLOT),
    symbol=LONGEST_NAME,
    slot=SLOT,
    origin=Origin.BEAT,
    account="testnet-" + "a" * 24,
    mode=Mode.TESTNET,
    config_hash="0123456789ab",
    enqueued_at=SLOT,
    expires_at=datetime(2126, 1, 1, tzinfo=UTC),
    deadline_at=datetime(2126, 1, 1, tzinfo=UTC),
)


def record(task: Task, way: str) -> None:
    """Tell the test what this message had, in both places where a header can be."""
    request = task.request
    nested = request.headers or {}
    told = {
        "way": way,
        "task_id": request.id,
        "root_id": request.root_id,
        "retries": request.retries,
        "redelivered": bool(request.delivery_info.get("redelivered")),
        "headers": {name: getattr(request, name, None) for name in headers.NAMES},
        "nested": {name: nested.get(name) for name in headers.NAMES},
        "attempt": headers.attempt(request),
        "published_at": headers.read(request, headers.PUBLISHED_AT),
        "sentry_trace": nested.get("sentry-trace"),
        "pid": os.getpid(),
    }
    with redis.Redis.from_url(app.conf.broker_url) as client:
        client.rpush(SEEN, json.dumps(told))


@app.task(bind=True, name="ways.seen")
def seen(self: Task, way: str) -> None:
    record(self, way)


@app.task(name="ways.fails")
def fails() -> None:
    raise ValueError("on purpose")


@app.task(bind=True, name="ways.retry", max_retries=1)
def retried(self: Task, way: str) -> None:
    record(self, way)
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@app.task(bind=True, name="ways.redelivery")
def dies_once(self: Task, way: str) -> None:
    record(self, way)
    if not self.request.delivery_info.get("redelivered"):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, name="ways.replace")
def replaced(self: Task, way: str) -> None:
    raise self.replace(seen.si(way))


PUBLISHING: Mapping[str, Callable[[], Any]] = {
    "apply_async": lambda: seen.apply_async(args=["apply_async"]),
    "by hand": lambda: seen.delay("by hand"),
    "own headers": lambda: seen.apply_async(args=["own headers"], headers={"mine": "too"}),
    "send_task": lambda: app.send_task("ways.seen", args=["send_task"]),
    "chain": lambda: chain(seen.si("chain"), seen.si("chain, second")).apply_async(),
    "link": lambda: seen.apply_async(args=["before link"], link=seen.si("link")),
    "link_error": lambda: fails.apply_async(link_error=seen.si("link_error")),
}


@app.task(bind=True, name="ways.publish")
def publishes(self: Task, way: str) -> None:
    PUBLISHING[way]()


@app.task(name="ways.stages")
def publishes_stages(attempt: int) -> None:
    """The pipeline's own hand-offs, to queues that this worker does not consume."""
    for stage in Stage:
        publish(stage, DECISION, attempt=attempt)
