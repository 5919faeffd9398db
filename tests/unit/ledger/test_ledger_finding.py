"""Any id that people hold in their hands leads to its decision."""

from __future__ import annotations

import pytest

from pipeline.domain.decisions import Decision
from pipeline.domain.ids import position_id
from pipeline.domain.orders import Order, OrderState
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import (
    ACCOUNT,
    BTC,
    ETH,
    NOW,
    SECOND,
    a_position,
    a_report,
    open_one,
    ordered,
)


def _traded(ledger: SqlLedger) -> Order:
    order = ordered(ledger, state=OrderState.SENDING)
    with ledger.begin() as unit:
        unit.orders.step(order, OrderState.ACKED, NOW, report=a_report(order, OrderState.ACKED))
        decision = unit.decisions.get(order.decision_id)
        assert decision is not None
        unit.positions.save(a_position(decision))
    return order


def test_every_kind_of_id_finds_the_decision(ledger: SqlLedger) -> None:
    """`trace` accepts whatever was in the log, in Flower or on the exchange's page."""
    order = _traded(ledger)
    ids = [
        order.decision_id,
        f"{order.decision_id}.execute",
        f"  {order.decision_id}\n",
        order.decision_id[:-6],
        order.client_order_id,
        "8000001",
        order.permit_id,
        position_id(ACCOUNT, BTC, order.decision_id),
    ]
    with ledger.read() as unit:
        assert [unit.find_decision(text) for text in ids] == [order.decision_id] * len(ids)


def test_a_beginning_that_fits_two_decisions_finds_neither(ledger: SqlLedger) -> None:
    """Guessing would show the wrong story."""
    first, second = open_one(ledger, BTC), open_one(ledger, ETH)
    with ledger.read() as unit:
        assert unit.find_decision(_common(first, second)) is None
        assert unit.find_decision(first.decision_id) == first.decision_id


def _common(first: Decision, second: Decision) -> str:
    assert first.decision_id[:20] == second.decision_id[:20]
    return first.decision_id[:20]


def test_an_exchange_id_that_two_symbols_share_finds_neither(ledger: SqlLedger) -> None:
    """Exchanges number the orders of each symbol apart."""
    for symbol in (BTC, ETH):
        order = ordered(ledger, symbol, NOW + SECOND, OrderState.SENDING)
        with ledger.begin() as unit:
            unit.orders.step(order, OrderState.ACKED, NOW, report=a_report(order, OrderState.ACKED))
    with ledger.read() as unit:
        assert unit.find_decision("8000001") is None


@pytest.mark.parametrize("text", ["", "  ", "dec_", "dec_20990101", "nonsense", "%", "dec_%", "8000001"])
def test_what_nobody_knows_finds_nothing(ledger: SqlLedger, text: str) -> None:
    """An empty text least of all: orders that were never acknowledged have an empty id of the exchange."""
    ordered(ledger, BTC)
    ordered(ledger, ETH)
    with ledger.read() as unit:
        assert unit.find_decision(text) is None
