"""The auditor of the fault suite: it stays silent about what is right, and each rule finds what it is for."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fault.audit import RULES, Evidence, violations

AUDIT = Path(__file__).parents[2] / "fault" / "audit"
TERMS = (
    "terms",
    "paper-main",
    "paper",
    "d1",
    "entry",
    "BTC/USDT:USDT",
    "buy",
    "limit",
    "IOC",
    "0.5",
    "100.1",
    False,
)
PARAMS = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "quantity": "0.50", "price": "100.10",
    "newClientOrderId": "c1",
}  # fmt: skip


def evidence() -> Evidence:
    """One decision, permitted, sent, filled in one trade, all as it should be."""
    terms = hashlib.sha256("\x1f".join(map(str, TERMS)).encode()).hexdigest()
    entry = {
        "client_order_id": "c1",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "params": PARAMS,
        "path": "/fapi/v1/order",
        "at": "2026-03-01T12:00:00.000Z",
    }
    trade = {"trade_id": "7", "fill_qty": "0.5", "fill_price": "100", "fee": "0.02", "realised_pnl": "0"}
    order = {
        "client_order_id": "c1", "decision_id": "d1", "leg": "entry", "permit_id": "p1", "symbol": "BTC/USDT:USDT",
        "state": "FILLED", "sent_at": 5, "filled_qty": Decimal("0.5"), "fee": Decimal("0.02"), "detail": "",
    }  # fmt: skip
    return Evidence(
        decisions=[
            {
                "decision_id": "d1", "outcome": "executed", "reason": "FILLED", "detail": "", "ended_at": 9,
                "opener": None,
            }
        ],
        permits=[
            {
                "permit_id": "p1", "decision_id": "d1", "leg": "entry", "account": "paper-main", "mode": "paper",
                "symbol": "BTC/USDT:USDT", "tif": "IOC", "limit_price": Decimal("100.1"), "qty": Decimal("0.5"),
                "terms_hash": terms, "state": "used", "issued_at": 1, "expires_at": 20,
            }
        ],
        orders=[order],
        order_steps=[
            {"step_id": 1, "client_order_id": "c1", "from_state": "INTENT", "to_state": "SENDING"},
            {"step_id": 2, "client_order_id": "c1", "from_state": "SENDING", "to_state": "FILLED"},
        ],
        fills=[
            {
                "symbol": "BTC/USDT:USDT", "trade_id": "7", "client_order_id": "c1", "side": "buy",
                "qty": Decimal("0.5"), "price": Decimal(100), "fee": Decimal("0.02"),
            }
        ],
        positions=[
            {
                "symbol": "BTC/USDT:USDT", "side": "buy", "qty": Decimal("0.5"), "fees": Decimal("0.02"),
                "realised_pnl": Decimal(0),
            }
        ],
        journal=[
            {"kind": "request", "method": "POST", **entry},
            {"kind": "order_accepted", **entry, "qty": "0.5"},
            {"kind": "fill", **entry, **trade},
            {"kind": "clock", "at": "2026-03-01T12:00:01.000Z"},
        ],
    )  # fmt: skip


def changed(table: str, row: int = 0, **values: Any) -> Callable[[Evidence], Evidence]:
    """One row of one table with other values."""

    def change(on: Evidence) -> Evidence:
        rows = [dict(each) for each in getattr(on, table)]
        rows[row] |= values
        return with_rows(on, table, rows)

    return change


def without(table: str) -> Callable[[Evidence], Evidence]:
    return lambda on: with_rows(on, table, [])


def with_rows(on: Evidence, table: str, rows: list[dict[str, Any]]) -> Evidence:
    other: dict[str, Any] = {table: rows}
    return replace(on, **other)


def again(kind: int) -> Callable[[Evidence], Evidence]:
    return lambda on: replace(on, journal=[*on.journal, on.journal[kind]])


SPOILT = {
    "each_order_is_requested_once": again(0),
    "each_attempt_has_one_order_on_the_exchange": again(1),
    "each_permit_has_one_order_on_the_exchange": changed("permits", qty=Decimal("0.4")),
    "none_is_without_permit": changed("permits", state="issued"),
    "parameters_are_the_permits": changed("journal", 1, params={**PARAMS, "quantity": "0.51"}),
    "each_decision_ended_once": changed("decisions", outcome=None),
    "each_order_is_settled": changed("orders", state="UNKNOWN"),
    "each_permitted_decision_says_what_became_of_it": changed("decisions", outcome="failed"),
    "steps_follow_each_other": changed("order_steps", 1, from_state="UNKNOWN"),
    "no_live_order_is_called_absent": changed("orders", state="NOT_PLACED"),
    "no_final_order_rests_on_the_exchange": changed("journal", 1, qty="0.6"),
    "fills_are_the_exchanges_trades": changed("fills", price=Decimal("100.01")),
    "orders_hold_their_fills": changed("orders", fee=Decimal("0.03")),
    "positions_are_the_exchanges": changed("positions", qty=Decimal("0.4")),
    "no_position_is_long_without_its_stop": changed("journal", 3, at="2026-03-01T12:01:00.000Z"),
}


def test_what_is_right_breaks_no_rule() -> None:
    """An auditor that cries wolf is not listened to."""
    assert violations(evidence()) == []


@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_each_rule_finds_what_it_is_for(rule: str) -> None:
    """A rule that finds nothing, ever, would report 0 violations for ever."""
    assert rule in {found.rule for found in violations(SPOILT[rule](evidence()))}


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ({"price": "99.90", "quantity": "0.3"}, True),
        ({"price": "100.10"}, True),
        ({"price": "100.11"}, False),
        ({"quantity": "0.51"}, False),
        ({"quantity": "0"}, False),
        ({"side": "SELL", "price": "99.90"}, False),
        ({"timeInForce": "IOC", "price": "99.90"}, False),
        ({"reduceOnly": "true"}, False),
    ],
)
def test_only_an_order_that_rests_may_ask_for_less_at_a_better_price(
    asked: dict[str, str], right: bool
) -> None:
    """The permit's price is its bound; whatever else differs was never permitted."""
    terms = tuple("GTC" if part == "IOC" else part for part in TERMS)
    signed = hashlib.sha256("\x1f".join(map(str, terms)).encode()).hexdigest()
    resting = changed("permits", tif="GTC", terms_hash=signed)(evidence())
    sent = changed("journal", 1, params={**PARAMS, "timeInForce": "GTC", **asked})(resting)
    found = {each.rule for each in violations(sent)}
    assert ("parameters_are_the_permits" not in found) is right


@pytest.mark.parametrize("table", ["orders", "permits", "fills", "positions", "order_steps"])
def test_a_ledger_that_lost_a_table_is_found_out(table: str) -> None:
    """Absence is a difference too."""
    assert violations(without(table)(evidence()))


def test_the_auditor_knows_nothing_of_the_pipeline() -> None:
    """A bug that it shared with the pipeline would hide from it."""
    imported = {
        name
        for file in AUDIT.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in _imports(node)
    }
    assert {name.partition(".")[0] for name in imported} & {
        "pipeline",
        "tasks",
        "config",
        "simulator",
    } == set()


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
