"""A unit is one transaction: whole or not at all, one at a time, and clean after an error."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from pipeline.domain.errors import InvariantBroken, LedgerUnavailable
from pipeline.domain.outcomes import EndReason
from pipeline.domain.ports import Ledger, Unit
from pipeline.domain.switches import TradingState
from pipeline.ledger import wal
from pipeline.ledger.kinds import Kind
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import ACCOUNT, BTC, ETH, NOW, a_decision, a_stage, open_one


def test_it_is_the_ledger_that_the_pipeline_asks_for() -> None:
    """The type checker compares every method with the port's."""
    ledger: Ledger = memory_ledger()
    with ledger.begin() as unit:
        asked: Unit = unit
        assert asked.decisions.counts() == {}


class Accident(Exception):
    """Something that happens in the middle."""


def test_an_error_inside_a_unit_undoes_all_of_it(ledger: SqlLedger) -> None:
    """A stage's result without the outcome that belongs to it would be a lie."""
    with pytest.raises(Accident), ledger.begin() as unit:
        _open_and_fail(unit.decisions.open)
    with ledger.read() as unit:
        assert unit.decisions.counts() == {}


def _open_and_fail(open_decision: Callable[..., object]) -> None:
    open_decision(a_decision())
    raise Accident


def test_a_refused_record_undoes_what_went_before_it(ledger: SqlLedger) -> None:
    """The database's own complaint is an error like any other."""
    stranger = a_stage(a_decision(ETH).decision_id)
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        assert unit.decisions.open(a_decision(BTC)) is None and unit.stages.add(stranger)  # noqa: PT018
    with ledger.read() as unit:
        assert unit.decisions.counts() == {}


def test_the_ledger_goes_on_after_an_error(ledger: SqlLedger) -> None:
    """Nothing of the failed unit clings to the connection."""
    for _ in range(20):
        with pytest.raises(Accident), ledger.begin(durable=True):
            raise Accident
        with pytest.raises(Accident), ledger.read():
            raise Accident
    assert open_one(ledger).is_open


def test_a_reading_unit_cannot_write(ledger: SqlLedger) -> None:
    """A reader that writes would do so without the writers' lock."""
    decision = open_one(ledger)
    with pytest.raises(InvariantBroken), ledger.read() as unit:
        unit.decisions.end(decision.decision_id, EndReason.NO_SIGNAL, "", NOW)
    with ledger.begin() as unit:
        assert unit.decisions.end(decision.decision_id, EndReason.NO_SIGNAL, "", NOW)


@pytest.mark.parametrize("kind", ["begin", "read"])
def test_a_unit_inside_a_unit_is_refused(ledger: SqlLedger, kind: str) -> None:
    """It would wait for the first one, which waits for it; the first one goes on unharmed."""
    with ledger.begin() as unit:
        with pytest.raises(InvariantBroken, match="inside another"):
            getattr(ledger, kind)().__enter__()
        unit.decisions.open(a_decision())
    with ledger.read() as unit:
        assert unit.decisions.counts() == {"open": 1}


def test_reading_and_writing_in_turn_changes_no_setting_of_a_connection(ledger_file: Path) -> None:
    """SQLite would plan every statement of the connection anew after each change: half of what a unit costs."""
    ledger, ran = SqlLedger(f"sqlite:///{ledger_file}"), list[str]()
    for kind in (Kind.READ, Kind.WRITE):
        engine = ledger.engines.of(kind)
        event.listen(engine, "connect", lambda driver, _: driver.set_trace_callback(ran.append))
    for _ in range(5):
        open_one(ledger, str(len(ran)))
        with ledger.read() as unit:
            assert unit.decisions.counts()
    settings = [text for text in ran if text.startswith("PRAGMA query_only")]
    assert sorted(settings) == ["PRAGMA query_only = OFF", "PRAGMA query_only = ON"]
    ledger.close()


def test_threads_take_turns(ledger: SqlLedger) -> None:
    """The web console reads from several threads, tests from a few."""
    start = threading.Barrier(4)
    failures: list[Exception] = []

    def work(number: int) -> None:
        start.wait()
        try:
            for turn in range(5):
                open_one(ledger, f"{number}/{turn}")
        except Exception as error:  # noqa: BLE001 - shown by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with ledger.read() as unit:
        assert unit.decisions.counts() == {"open": 20}


def test_a_closed_ledger_opens_again(ledger_file: Path) -> None:
    """Closing gives back files and sockets; it ends nothing."""
    ledger = SqlLedger(f"sqlite:///{ledger_file}")
    decision = open_one(ledger)
    ledger.close()
    with ledger.read() as unit:
        assert unit.decisions.get(decision.decision_id) == decision
    ledger.close()


def test_a_reader_sees_one_moment_while_others_write(ledger_file: Path) -> None:
    """A trace must not mix what was before and after a commit."""
    reader, writer = (SqlLedger(f"sqlite:///{ledger_file}") for _ in range(2))
    with reader.read() as unit:
        assert unit.decisions.counts() == {}
        open_one(writer)
        assert unit.decisions.counts() == {}
    with reader.read() as unit:
        assert unit.decisions.counts() == {"open": 1}
    reader.close()
    writer.close()


def test_a_ledger_that_stays_locked_is_unavailable(ledger_file: Path) -> None:
    """The caller backs off and tries again: nothing was written."""
    other = sqlite3.connect(ledger_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger = SqlLedger(f"sqlite:///{ledger_file}", busy_timeout_s=0.05)
    with pytest.raises(LedgerUnavailable, match=str(ledger_file)):
        ledger.begin().__enter__()
    with ledger.read() as unit:
        assert unit.decisions.counts() == {}
    other.execute("ROLLBACK")
    other.close()
    assert open_one(ledger).is_open
    ledger.close()


def test_a_full_disk_is_unavailable_and_loses_nothing(ledger_file: Path) -> None:
    """What was committed stays; the unit that did not fit is undone."""
    ledger = SqlLedger(f"sqlite:///{ledger_file}")
    kept = open_one(ledger)
    with ledger.begin() as unit:  # the one connection that writes
        pages = unit._connection.exec_driver_sql("PRAGMA page_count").scalar()
        unit._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerUnavailable, match="disk is full"), ledger.begin() as unit:
        unit.decisions.open(a_decision(ETH, detail="x" * 100_000))
    with ledger.read() as unit:
        assert unit.decisions.get(kept.decision_id) == kept
        assert unit.decisions.counts() == {"open": 1}
    ledger.close()


def test_only_durable_units_wait_for_the_disk_and_nobody_waits_for_them(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders survive a power cut; waiting for the disk at every stage, or with the only lock held, would cost most of
    the throughput.
    """
    ledger, other = (
        SqlLedger(f"sqlite:///{ledger_file}"),
        SqlLedger(f"sqlite:///{ledger_file}", busy_timeout_s=0),
    )
    synced: list[Path] = []

    def sync(log: int) -> None:
        synced.append(Path(f"/proc/self/fd/{log}").resolve())
        with other.begin() as unit:
            assert unit.switches.trading_state(ACCOUNT) is TradingState.ACTIVE, "what is synced is in the log"

    monkeypatch.setattr(wal, "_sync", sync)
    for durable in (False, True, False):
        with ledger.begin(durable=durable) as unit:
            unit.switches.set_trading_state(ACCOUNT, TradingState.ACTIVE, by="test", reason="", at=NOW)
    assert synced == [ledger_file.with_name(f"{ledger_file.name}-wal")]
    ledger.close()
    other.close()


def test_what_does_not_reach_the_disk_is_not_called_durable(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked for it is about to send an order."""

    def sync(_: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(wal, "_sync", sync)
    ledger = SqlLedger(f"sqlite:///{ledger_file}")
    with pytest.raises(LedgerUnavailable, match="disk cannot be read or written"), ledger.begin(durable=True):
        pass
    ledger.close()


def test_a_writer_goes_on_as_soon_as_the_lock_is_free(ledger_file: Path) -> None:
    """SQLite looks again after a tenth of a second when it has waited for a while: others go first again and again."""
    ledger = SqlLedger(f"sqlite:///{ledger_file}")
    open_one(ledger)
    assert any(_waited_after_the_release(ledger, ledger_file) < 0.03 for _ in range(6))
    ledger.close()


def _waited_after_the_release(ledger: SqlLedger, file: Path) -> float:
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    released: list[float] = []

    def release() -> None:
        released.append(time.monotonic())
        other.execute("ROLLBACK")

    timer = threading.Timer(0.34, release)
    timer.start()
    with ledger.begin():
        waited = time.monotonic()
    timer.join()
    other.close()
    return waited - released[0]


def test_a_ledger_in_memory_starts_empty_and_is_nobody_elses() -> None:
    """Tests must not see each other's records."""
    first, second = memory_ledger(), memory_ledger()
    open_one(first)
    with second.read() as unit:
        assert unit.decisions.counts() == {}
    first.close()
    second.close()
