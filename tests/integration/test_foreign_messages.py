"""What others push into our queues: it runs nothing, kills nothing, and does not come back.

Most of it is signed here all the same: what a worker does with rubbish must not hang on the signature alone.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tasks.signing import sign
from tests.support.clients import message_key_of
from tests.support.waiting import eventually
from tests.support.ways import SEEN
from tests.support.ways_worker import WaysWorker

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
        "body": as_text(body),
        "content-type": content_type,
        "content-encoding": encoding,
        "headers": {"lang": "py", "task": "ways.seen", "id": task_id, "retries": 0, **headers},
        "properties": properties,
    }


def as_text(body: bytes) -> str:
    return base64.b64encode(body).decode()


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


def signed(text: str, worker: WaysWorker) -> str:
    """The message with a signature that fits, where one can be put."""
    try:
        message = json.loads(text)
        sign(message, message_key_of(worker.home))
    except (ValueError, KeyError, TypeError, RecursionError):
        return text
    return json.dumps(message)


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
    return worker.client.llen(QUEUE) == worker.client.hlen("unacked:orders") == 0


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_message_is_dropped_and_the_worker_goes_on(worker: WaysWorker, pid: int, what: str) -> None:
    """Celery's own consumer dies of several of these, hands them back, and dies of them again."""
    worker.client.lpush(QUEUE, signed(FOREIGN[what], worker))
    assert runs_the_next_message(worker) == pid
    eventually(lambda: is_gone(worker), what=f"{what} to be gone")


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_pickle_runs_nothing(worker: WaysWorker, pid: int, tmp_path: Path, protocol: int) -> None:
    """Whoever can write to Redis would run in the process that holds the exchange's key."""
    trap = tmp_path / "trap"
    worker.client.lpush(QUEUE, signed(trapped(trap, protocol), worker))
    assert runs_the_next_message(worker) == pid
    eventually(lambda: is_gone(worker), what="the pickle to be gone")
    assert not trap.exists()


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "without a signature": lambda message: message["properties"].pop("signature"),
    "signed with another key": lambda message: sign(message, "another key"),
    "with another task": lambda message: message["headers"].update(task="ways.fails"),
    "with other arguments": lambda message: message.update(body=as_text(b'[["forged"], {}, {}]')),
    "with another id": lambda message: message["headers"].update(id="dec_20260101_000000_000000000000.fetch"),
    "that has no end any more": lambda message: message["headers"].pop("expires"),
    "for another queue": lambda message: message["properties"]["delivery_info"].update(routing_key="execute"),
}
"""What somebody can do who reads and writes Redis, but has no key."""


@pytest.mark.parametrize("change", FORGED)
def test_a_message_that_none_of_ours_has_signed_runs_nothing(
    worker: WaysWorker, pid: int, change: str
) -> None:
    """Writing to Redis is not enough to make a process work that holds the exchange's key."""
    label = f"forged: {change}"
    message = envelope(json.dumps([[label], {}, {}]).encode(), expires="2126-01-01T00:00:00+00:00")
    sign(message, message_key_of(worker.home))
    FORGED[change](message)
    worker.client.lpush(QUEUE, json.dumps(message))
    assert runs_the_next_message(worker) == pid
    told = [json.loads(line)["way"] for line in worker.client.lrange(SEEN, 0, -1)]
    assert label not in told
    assert "forged" not in told
    eventually(lambda: is_gone(worker), what="the message to be gone")


def test_a_message_signed_for_one_queue_runs_in_no_other(worker: WaysWorker, pid: int) -> None:
    """A message of a market worker must not be given to one that sends orders."""
    message = envelope(b'[["moved"], {}, {}]')
    message["properties"]["delivery_info"]["routing_key"] = "fetch"
    sign(message, message_key_of(worker.home))
    worker.client.lpush(QUEUE, json.dumps(message))
    assert runs_the_next_message(worker) == pid
    assert "moved" not in [json.loads(line)["way"] for line in worker.client.lrange(SEEN, 0, -1)]


def test_what_was_dropped_is_reported(worker: WaysWorker, pid: int) -> None:
    """Rule 6: somebody writes to our queues, and an operator should know."""
    worker.client.lpush(QUEUE, signed(json.dumps(envelope(id={"told": "apart"})), worker))
    runs_the_next_message(worker)
    log = worker.home / "logs/worker-ways.jsonl"

    def reported() -> bool:
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return any(each["event"] == "SECURITY" and "apart" in json.dumps(each) for each in events)

    eventually(reported, what="the report")
