"""The yardstick: chains of Celery tasks that do nothing, with the pipeline's own Celery settings and headers."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from celery import Celery, chain
from celery.app.task import Task
from kombu.entity import Queue

from benchmarks.variables import ENDS_FILE
from config.loading import load
from pipeline.domain.decisions import Stage
from pipeline.domain.timeframes import SystemClock, iso
from tasks import headers, signing
from tasks.batching import BatchedAcks, BatchedEvents
from tasks.looping import ForgetsOnce
from tasks.settings import celery_settings

MARKET_QUEUES = ("noop.fetch", "noop.evaluate")
ORDERS_QUEUES = ("noop.validate", "noop.execute")
QUEUES = (*MARKET_QUEUES, *ORDERS_QUEUES)
EXPIRES_S = 600
END_LENGTH = 20


def _settings() -> dict[str, Any]:
    """The pipeline's own, with queues and routes of these tasks."""
    queues = [Queue(name, routing_key=name) for name in QUEUES]  # type: ignore[no-untyped-call]  # kombu has no types
    routes = {name: {"queue": name} for name in QUEUES}
    settings = load()
    signing.use(signing.message_key(settings))
    return {**celery_settings(settings), "task_queues": queues, "task_routes": routes}


app = Celery("noop", set_as_current=False)
app.add_defaults(_settings)
app.steps["worker"].add(ForgetsOnce)
app.steps["consumer"].update((BatchedEvents, BatchedAcks))
_ends: list[int] = []


def _nothing(symbol: str, began: float, last: int) -> None:
    """What each of the tasks does. The last of a chain notes how long the chain took: one write to a file."""
    if last:
        os.write(_ends_file(), f"{(time.time() - began) * 1000:{END_LENGTH - 1}.3f}\n".encode())


def _ends_file() -> int:
    if not _ends:
        _ends.append(os.open(os.environ[ENDS_FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    return _ends[0]


TASKS: Sequence[Task] = [app.task(name=name)(_nothing) for name in QUEUES]


def publish_chain(symbol: str, length: int, number: int, began: float) -> None:
    """Start one chain, as the pipeline starts a decision: derived task ids, headers, an expiry. It counts its time from
    `began`, seconds since the epoch.
    """
    chain_id = f"noop_{number:010d}"
    carried = _headers(chain_id, symbol)
    links = [
        task.si(symbol, began, int(at == length - 1)).set(
            task_id=f"{chain_id}.{stage.value}", headers=carried, expires=EXPIRES_S
        )
        for at, (task, stage) in enumerate(zip(TASKS[:length], Stage, strict=False))
    ]
    chain(*links, app=app).apply_async(root_id=chain_id)


def _headers(chain_id: str, symbol: str) -> dict[str, str]:
    now = iso(SystemClock().now()) or ""
    values = (chain_id, symbol, now, "paper", "0" * 12, now)
    return dict(zip(headers.NAMES, values, strict=True))
