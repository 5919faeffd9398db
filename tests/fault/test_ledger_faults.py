"""The ledger locked, gone, out of disk, restarted under the pipeline: nothing is sent that it does not know of."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from pipeline.execution.crashpoints import CrashPoint
from tests.fault.accidents import ROUGH, Storm, Traffic, during, set_faults, until
from tests.fault.rehearsal import Rehearsal, rehearsal
from tests.support.processes import temporary_folder
from tests.support.servers import PostgresServer, Unavailable

UNDER_WAY = 16
SEED = int(os.environ.get("TEST_SEED", "20261121"))
ROOM_MB = 12
"""Enough for a write-ahead log at its usual size of four, and a ledger."""
LONGER_THAN_ANYBODY_WAITS_S = 3.0


@pytest.fixture(scope="module")
def on() -> Iterator[Rehearsal]:
    with rehearsal(seed=17, symbols=30) as made:
        made.start(orders=2)
        yield made


def ledger_file(on: Rehearsal) -> Path:
    return on.chain.home / "ledger.sqlite3"


def said(on: Rehearsal, what: str) -> int:
    """How many lines of the log say so."""
    return sum(what in line for line in on.chain.log_lines())


@pytest.mark.parametrize("kind", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_ledger_that_somebody_holds_locked_costs_time_only(on: Rehearsal, kind: str) -> None:
    """A backup tool, a person with a database browser; longer than the pipeline waits for a lock."""
    decisions = [on.open(symbol) for symbol in on.symbols[:8]]
    with closing(sqlite3.connect(ledger_file(on), timeout=20, isolation_level=None)) as holder:
        holder.execute(f"BEGIN {kind}")
        for decision in decisions:
            on.publish("fetch", decision)
        during(LONGER_THAN_ANYBODY_WAITS_S)
        holder.execute("ROLLBACK")
    on.drain(60)
    assert on.audit() == []


@contextmanager
def small_disk() -> Iterator[Path]:
    """A disk of a few megabytes; skips where it cannot be made."""
    place = temporary_folder("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_MB}m", "tmpfs", str(place)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_orders_and_they_go_on_when_there_is_room() -> None:
    """Nothing is half written, nothing is sent that could not be written down before."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk())
        url = f"sqlite:///{disk / 'ledger.sqlite3'}"
        on = stack.enter_context(rehearsal(seed=19, symbols=20, ledger_url=url))
        on.start(orders=2)
        traffic = Traffic(on)
        assert until(lambda: traffic.enqueued >= 10, (lambda: traffic.keep(5), on.upkeep), 30)
        fill_up(disk / "filler")
        steps = (lambda: traffic.keep(10), on.upkeep)
        assert until(lambda: said(on, "the disk is full") > 0, steps, 60), "nobody met the full disk"
        (disk / "filler").unlink()
        on.drain(60)
        assert on.audit() == []


def fill_up(file: Path) -> None:
    """Write until there is no room."""
    with file.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(b"\0" * 65536)
        except OSError:
            return


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of its own, for it is going to crash."""
    try:
        server = PostgresServer()
    except Unavailable as reason:
        if os.environ.get("TEST_REQUIRE_POSTGRES"):
            pytest.fail(f"TEST_REQUIRE_POSTGRES is set, but: {reason}")
        pytest.skip(str(reason))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def there(server: PostgresServer) -> Iterator[Rehearsal]:
    """A pipeline whose ledger is on PostgreSQL."""
    with rehearsal(seed=23, symbols=40, ledger_url=server.url(server.create_database())) as made:
        made.start()
        with made.beat():
            yield made


@pytest.mark.postgres
def test_accidents_at_every_point_leave_a_ledger_on_postgres_right(there: Rehearsal) -> None:
    """Several hosts share this one: its locks are other ones than a file's."""
    storm = Storm(there, "KILL", Counter(dict.fromkeys(CrashPoint, 1)), random.Random(SEED))
    traffic = Traffic(there)
    set_faults(there, *ROUGH)
    steps = (storm.step, lambda: traffic.keep(UNDER_WAY))
    assert until(lambda: storm.is_over, steps, 120), f"seed {SEED}: never hit: {+storm.wanted}"
    storm.call_off()
    there.drain(90)
    assert there.audit() == [], f"seed {SEED}"
    assert len(there.evidence().traded) > 5


@pytest.mark.postgres
def test_without_its_ledger_the_pipeline_sends_nothing(there: Rehearsal, server: PostgresServer) -> None:
    """A database server that crashes and recovers, with decisions under way; then orders flow again."""
    decisions = [there.open(symbol) for symbol in there.symbols[:10]]
    placed = len(there.chain.placed())
    server.crash()
    for decision in decisions:
        there.publish("fetch", decision)
    during(LONGER_THAN_ANYBODY_WAITS_S)
    assert len(there.chain.placed()) == placed
    server.start_again()
    traffic = Traffic(there)  # what the first ten still wanted to do depends on what they hold by now
    goes_on = until(lambda: len(there.chain.placed()) > placed, (lambda: traffic.keep(UNDER_WAY),), 60)
    assert goes_on, there.chain.counts()
    there.drain(60)
    assert there.audit() == []
