"""What others push into our queues: it runs nothing, kills nothing, and does not come back."""

from __future__ import annotations

import base64
import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.waiting import eventually
from tests.support.ways_worker import WaysWorker

pytestmark = pytest.mark.xdist_group("headers")

QUEUE = "upkeep"
NORMAL = b'[["normal"], {}, {}]'
PICKLE, YAML = "application/x-python-serialize", "application/x-yaml"


def envelope(
    body: bytes = NORMAL, content_type: str = "application/json", encoding: str = "utf-8", **headers: object
) -> dict[str, Any]:
    """A message as it lies in Redis, right in all that is not said otherwise."""
    task_id = uuid4().hex
    properties = {
        "correlation_id": task_id,
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
        "delivery_tag": uuid4().hex,
        "body_encoding": "base64",
    }
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": content_type,
        "content-encoding": encoding,
        "headers": {"lang": "py", "task": "ways.seen", "id": task_id, "retries": 0, **headers},
        "properties": properties,
    }


class Trap:
    """Whoever unpickles it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def trapped(folder: Path, protocol: int) -> str:
    """A message of either of Celery's protocols whose body is a trap."""
    args = (Trap(folder),)
    old_form = {"task": "ways.seen", "id": "1", "args": args, "kwargs": {}}
    told = envelope(pickle.dumps((args, {}, {}) if protocol == 2 else old_form), PICKLE, "binary")
    return json.dumps(told if protocol == 2 else {**told, "headers": {}})


FOREIGN = {
    "yaml": json.dumps(envelope(b'!!python/object/apply:os.mkdir ["trap"]', YAML)),
    "an unknown content": json.dumps(envelope(content_type="application/x-nothing")),
    "an unknown task": json.dumps(envelope(task="os.system")),
    "a body that is no JSON": json.dumps(envelope(b"hello")),
    "a body without arguments": json.dumps(envelope(b'{"a": 1}')),
    "arguments of other types": json.dumps(envelope(b"[5, 6, 7]")),
    "a task without a name": json.dumps(envelope(task=None)),
    "a list for an id": json.dumps(envelope(id=["a"])),
    "no id": json.dumps(envelope(id=None)),
    "an instant that is none": json.dumps(envelope(eta="rubbish", expires="rubbish")),
    "limits that are none": json.dumps(envelope(timelimit="rubbish")),
    "limits of text": json.dumps(envelope(timelimit=["a", "b"])),
    "retries of text": json.dumps(envelope(retries="many")),
    "a list for headers": json.dumps(envelope(headers=["a"])),
    "a chain that is none": json.dumps(envelope(b'[["chain"], {}, {"chain": "x", "callbacks": 5}]')),
    "an unknown compression": json.dumps(envelope(compression="application/x-bz2")),
    "no headers": json.dumps({**envelope(), "headers": None}),
    "no properties": json.dumps({"body": "", "headers": {}}),
    "a JSON list": "[1, 2]",
    "a JSON text": '"hello"',
    "no JSON": "hello",
    "nothing": "",
    "a deep nest": "[" * 100_000,
}


@pytest.fixture(scope="module")
def worker() -> Iterator[WaysWorker]:
    worker = WaysWorker()
    yield worker
    worker.stop()


@pytest.fixture
def pid(worker: WaysWorker) -> int:
    """The process that runs the tasks, before the foreign message."""
    return runs_the_next_message(worker)


def runs_the_next_message(worker: WaysWorker) -> int:
    """The process that runs a message of ours that comes now."""
    label = uuid4().hex
    worker.stranger.send_task("ways.seen", args=[label], queue=QUEUE)
    (seen,) = worker.seen(label)
    assert isinstance(seen["pid"], int)
    return seen["pid"]


def is_gone(worker: WaysWorker) -> bool:
    """Neither in the queue nor among those that will be delivered again."""
    return worker.client.llen(QUEUE) == worker.client.hlen("unacked") == 0


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_message_is_dropped_and_the_worker_goes_on(worker: WaysWorker, pid: int, what: str) -> None:
    """Celery's own consumer dies of several of these, hands them back, and dies of them again."""
    worker.client.lpush(QUEUE, FOREIGN[what])
    assert runs_the_next_message(worker) == pid
    eventually(lambda: is_gone(worker), what=f"{what} to be gone")


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_pickle_runs_nothing(worker: WaysWorker, pid: int, tmp_path: Path, protocol: int) -> None:
    """Whoever can write to Redis would run in the process that holds the exchange's key."""
    trap = tmp_path / "trap"
    worker.client.lpush(QUEUE, trapped(trap, protocol))
    assert runs_the_next_message(worker) == pid
    eventually(lambda: is_gone(worker), what="the pickle to be gone")
    assert not trap.exists()


def test_what_was_dropped_is_reported(worker: WaysWorker, pid: int) -> None:
    """Rule 6: somebody writes to our queues, and an operator should know."""
    worker.client.lpush(QUEUE, json.dumps(envelope(id={"told": "apart"})))
    runs_the_next_message(worker)
    log = worker.home / "logs/worker-ways.jsonl"

    def reported() -> bool:
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return any(each["event"] == "SECURITY" and "apart" in json.dumps(each) for each in events)

    eventually(reported, what="the report")
