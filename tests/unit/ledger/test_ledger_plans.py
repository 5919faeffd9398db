"""How SQLite looks for what every decision asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.ledger.orders import ADDING_OR_ON, UNDER_WAY, UNSETTLED
from pipeline.ledger.permits import RESERVING
from pipeline.ledger.positions import UNPROTECTED
from pipeline.ledger.repository import Query
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.standing import ACTIVITY
from pipeline.ledger.statements import driver_of, prepare
from tests.unit.ledger.ledger_worlds import ACCOUNT, NOW

SINCE = ("second", "minute", "day", "latch", "losses_since")


def plan_of(query: Query[Any], file: Path) -> str:
    """SQLite's plan, in its words."""
    values = {"of_account": ACCOUNT, "of_symbol": "BTC/USDT:USDT", "now": NOW} | dict.fromkeys(SINCE, NOW)
    ledger = SqlLedger(f"sqlite:///{file}")
    with ledger.engine.connect() as connection:
        prepared = prepare(query.statement, connection.dialect, tuple(values))
        bound = prepared.bound(values)
        rows = driver_of(connection).execute(f"EXPLAIN QUERY PLAN {prepared.text!s}", bound).fetchall()
    ledger.close()
    return "; ".join(row[3] for row in rows)


def test_what_is_open_is_found_without_a_look_at_what_is_over(ledger_file: Path) -> None:
    """A year's orders must not make each decision slower: both stand in an index of the few that are open."""
    assert "orders_unsettled" in plan_of(UNSETTLED, ledger_file)
    assert "orders_unsettled" in plan_of(ADDING_OR_ON, ledger_file)
    assert "orders_unsettled" in plan_of(UNDER_WAY, ledger_file)
    assert "orders_unsettled" in plan_of(UNPROTECTED, ledger_file)
    assert "permits_reserving" in plan_of(RESERVING, ledger_file)


def test_what_the_limits_count_is_counted_in_the_indexes_of_it(ledger_file: Path) -> None:
    """Each position has two guards, which move with the market, and most are closed without a loss: no decision may go
    through all of them.
    """
    plan = plan_of(ACTIVITY, ledger_file)
    assert plan.count("COVERING INDEX orders_taking_risk") == len(("second", "minute", "day"))
    assert plan.count("COVERING INDEX orders_in_trouble") == len(("rejects", "unknowns"))
    assert plan.count("INDEX orders_recent") == len(("on_symbol",))
    assert plan.count("COVERING INDEX positions_lost") == len(("losses", "last_loss_at"))
    assert "SCAN" not in plan.replace("SCAN CONSTANT ROW", "")
