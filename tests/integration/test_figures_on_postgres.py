"""The figures of the same history on both databases."""

from __future__ import annotations

from pathlib import Path

from pipeline.domain.decisions import Mode
from pipeline.domain.outcomes import EndReason
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.statistics import By
from pipeline.watch.chain_figures import chain_figures
from pipeline.watch.performance import Group, performances
from tests.unit.ledger.ledger_worlds import ETH, NOW, SECOND, a_decision
from tests.unit.watch.test_watch_reports import SPAN, ended, traded


def history(url: str) -> list[dict[str, object]]:
    """A few decisions and trades, as all reports tell them."""
    ledger = SqlLedger(url)
    ledger.migrate()
    for number, ms in enumerate([10, 25, 4000]):
        ended(ledger, a_decision(slot=NOW + number * SECOND), EndReason.NO_SIGNAL, ms)
    traded(ledger, a_decision(slot=NOW + 9 * SECOND), strategy="adaptive_ob", bought="100", sold="110")
    live = a_decision(ETH, mode=Mode.LIVE, account="live-main")
    traded(ledger, live, strategy="trend_follow", bought="100", sold="90")
    with ledger.read() as unit:
        told = [each.as_record() for by in By for each in chain_figures(unit.statistics, SPAN, by)]
        told += [each.as_record() for group in Group for each in performances(unit.statistics, SPAN, group)]
    ledger.close()
    return told


def test_sqlite_and_postgresql_tell_the_same_figures(tmp_path: Path, postgres_url: str) -> None:
    """Durations and sums are computed by the database, and each has its own arithmetic."""
    told = history(postgres_url)

    assert len(told) == 8 + 10
    assert told == history(f"sqlite:///{tmp_path}/ledger.sqlite3")
