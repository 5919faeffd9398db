"""A process that is stopped while it holds the ledger locked: whoever waits for it ends it, and nobody else."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.switches import TradingState
from pipeline.ledger.sql import SqlLedger
from tests.unit.execution.order_worlds import NOON

pytestmark = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a lock")

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("SELECT count(*) FROM decisions").fetchall()
print("held", flush=True)
sys.stdin.read()
"""
Hold = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    made = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}", busy_timeout_s=0.3)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def hold(ledger: SqlLedger) -> Iterator[Hold]:
    """Starts a process of ours that begins a transaction and keeps it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(begin: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", HOLDER, str(ledger.url.database), begin]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def write(ledger: SqlLedger) -> None:
    with ledger.begin() as unit:
        unit.switches.set_trading_state("main", TradingState.ACTIVE, by="t", reason="", at=NOON)


def stop(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGSTOP)
    while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
        pass


def test_who_is_stopped_with_the_lock_in_his_hands_is_ended(ledger: SqlLedger, hold: Hold) -> None:
    """Otherwise no fill is booked and no position protected until somebody wakes him."""
    holder = hold("BEGIN IMMEDIATE")
    stop(holder)
    write(ledger)
    assert holder.wait(60) == -signal.SIGKILL


def test_who_works_is_waited_for_and_lives(ledger: SqlLedger, hold: Hold) -> None:
    """A slow unit is no dead one."""
    holder = hold("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable):
        write(ledger)
    assert holder.poll() is None


def test_who_is_stopped_without_the_lock_lives(ledger: SqlLedger, hold: Hold) -> None:
    """He keeps nobody from anything."""
    reader = hold("BEGIN")
    stop(reader)
    with closing(sqlite3.connect(str(ledger.url.database), isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable):
            write(ledger)
    assert reader.poll() is None
