"""Every way in which a task can publish another, as tasks of the pipeline's own Celery application.

`celery -A tests.support.ways worker -Q upkeep` is a worker with the real settings, headers and start-up. What each
message had when it arrived is pushed to a list in Redis, for a test to read.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from celery import chain
from celery.app.task import Task

from pipeline.domain import ids
from pipeline.domain.decisions import Decision, Mode, Origin, Stage
from tasks import headers, limits
from tasks.app import app
from tasks.publishing import publish

limits.END_TAKES_S = 1.0
"""Only what hangs needs longer, and only a test waits for that."""

SEEN = "ways:seen"
PAUSE_S = 0.005
FAR = datetime(2126, 1, 1, tzinfo=UTC)


def a_decision(symbol: str) -> Decision:
    """A decision that no ledger knows."""
    slot = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    return Decision(
        decision_id=ids.decision_id(symbol, slot),
        symbol=symbol,
        slot=slot,
        origin=Origin.BEAT,
        account="testnet-main",
        mode=Mode.TESTNET,
        config_hash="0123456789ab",
        enqueued_at=slot,
        expires_at=FAR,
        deadline_at=FAR,
    )


DECISION = a_decision("BTC/USDT:USDT")
LONGEST = a_decision("1000000MOGWHATEVER/USDT:USDT-271231-100000-C")
"""Whose messages are as large as they get: `publish_stages` sends them."""


def record(task: Task, way: str) -> None:
    """Tell the test what this message had, in both places where a header can be."""
    request = task.request
    nested = request.headers or {}
    told = {
        "way": way,
        "task_id": request.id,
        "root_id": request.root_id,
        "attempt": headers.attempt(request),
        "redelivered": bool(request.delivery_info.get("redelivered")),
        "headers": {name: getattr(request, name, None) for name in headers.NAMES},
        "nested": {name: nested.get(name) for name in headers.NAMES},
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


@app.task(bind=True, name="ways.retries", max_retries=1)
def retries(self: Task, way: str) -> None:
    """Seen twice: the second time as its own retry."""
    record(self, way)
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@app.task(bind=True, name="ways.dies")
def dies(self: Task, way: str) -> None:
    """Seen twice: the first time its process is killed."""
    record(self, way)
    if not self.request.delivery_info.get("redelivered"):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, name="ways.replaces")
def replaces(self: Task, way: str) -> None:
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


@app.task(name="ways.publishes")
def publishes(way: str) -> None:
    PUBLISHING[way]()


@app.task(name="ways.waits")
def waits(folder: str, hands_on: bool) -> None:
    """Ends, or hands on, at a moment of the test's choosing: says `ready`, waits for `go`, says `gone`."""
    if hands_on:
        publish(Stage.FETCH, DECISION)  # so that it has a connection to lose
    wait_in(Path(folder))
    if hands_on:
        publish(Stage.EXECUTE, DECISION)


@app.task(name="ways.fails_at_length")
def fails_at_length(folder: str, letters: int) -> None:
    """Its worker is told why in a message that is longer than this. Waits as above."""
    wait_in(Path(folder))
    raise ValueError("x" * letters)


def wait_in(place: Path) -> None:
    (place / "ready").touch()
    while not (place / "go").exists():
        time.sleep(PAUSE_S)
    (place / "gone").touch()


@app.task(name="ways.publishes_stages")
def publishes_stages(attempt: int) -> None:
    """The pipeline's own hand-offs, to queues that this worker does not consume."""
    for stage in Stage:
        publish(stage, LONGEST, attempt=attempt)
