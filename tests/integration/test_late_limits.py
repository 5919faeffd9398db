"""A worker whose main process was held up tells its children late that a task ran for too long, and lives on."""

from __future__ import annotations

import json
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from billiard.pool import SIG_SOFT_TIMEOUT

from tests.support.pool_pipes import is_full, of_results
from tests.support.waiting import eventually
from tests.support.ways_worker import WaysWorker

MORE_THAN_A_PIPE_HOLDS = 200_000
QUICK_TO_END = {
    "THROUGHLINE_STRATEGIES_TIME_LIMIT_S": "0.2",
    "THROUGHLINE_CHAIN_SOFT_TIME_LIMIT_S": "1",
    "THROUGHLINE_CHAIN_HARD_TIME_LIMIT_S": "2",
}


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[WaysWorker]:
    """A worker with one child, and with the settings that a test names."""
    worker = WaysWorker(settings=getattr(request, "param", {}))
    yield worker
    worker.stop()


def child_that_saw(worker: WaysWorker, way: str) -> int:
    """The process that runs a task which is sent now."""
    worker.stranger.send_task("ways.seen", args=[way], queue="upkeep")
    return int(worker.seen(way)[0]["pid"])


def test_a_limit_that_comes_between_two_tasks_ends_nobody(worker: WaysWorker) -> None:
    child = child_that_saw(worker, "before")
    os.kill(child, SIG_SOFT_TIMEOUT)
    assert child_that_saw(worker, "after") == child


def test_a_limit_that_comes_while_a_task_runs_stops_the_task(worker: WaysWorker, tmp_path: Path) -> None:
    """It never ends by itself."""
    child = child_that_saw(worker, "before")
    worker.stranger.send_task("ways.waits", args=[str(tmp_path), False], queue="upkeep")
    eventually((tmp_path / "ready").exists, what="the task to run")
    os.kill(child, SIG_SOFT_TIMEOUT)
    assert child_that_saw(worker, "after") == child


def test_a_limit_that_comes_while_a_result_is_handed_back_does_not_cut_it(
    worker: WaysWorker, tmp_path: Path
) -> None:
    """The main process would take the rest for something else, and end."""
    child, main = child_that_saw(worker, "at first"), worker.process.pid
    worker.stranger.send_task(
        "ways.fails_at_length", args=[str(tmp_path), MORE_THAN_A_PIPE_HOLDS], queue="upkeep"
    )
    eventually((tmp_path / "ready").exists, what="the task to run")
    worker.process.send(signal.SIGSTOP)
    (tmp_path / "go").touch()
    eventually(lambda: is_full(of_results(main, child)), what="the result to wait for its reader")
    os.kill(child, SIG_SOFT_TIMEOUT)
    worker.process.send(signal.SIGCONT)
    assert child_that_saw(worker, "at last") == child


@pytest.mark.parametrize("worker", [QUICK_TO_END], indirect=True, ids=["with short limits"])
def test_a_worker_that_cannot_end_is_ended_and_says_where_it_hangs(
    worker: WaysWorker, tmp_path: Path
) -> None:
    """A child said half a word, and Celery waits for the rest: whoever starts dead workers sees a living one."""
    child = child_that_saw(worker, "at first")
    worker.stranger.send_task("ways.waits", args=[str(tmp_path), False], queue="upkeep")
    eventually((tmp_path / "ready").exists, what="the task to run")
    rubbish, half = struct.pack("!i", 3) + b"\x80\x04.", struct.pack("!i", 1000) + b"half"
    of_results(worker.process.pid, child).write_bytes(rubbish + half)
    assert worker.process.wait(60) == os.EX_SOFTWARE
    eventually(lambda: not psutil.pid_exists(child), what="its child to be gone")
    told = [json.loads(line) for line in (worker.home / "logs" / "all.jsonl").read_text().splitlines()]
    (end,) = [each["message"] for each in told if each.get("logger") == "tasks.limits"]
    assert "hangs for 3 s now, at connection.py" in end
