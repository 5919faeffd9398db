"""Several processes book different orders of one symbol at the same instant: the position follows all of them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.domain.ids import DecisionId
from pipeline.domain.orders import Order, OrderState, Trade
from pipeline.domain.outcomes import EndReason
from pipeline.domain.ports import Unit
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side
from pipeline.execution.booking import Bookkeeper
from pipeline.ledger.sql import SqlLedger
from pipeline.testing import FakeVenue, FixedClock
from pipeline.trace.events import RecordedEvents
from tests.integration.ledger_racers import RACERS, STORES, migrated, race
from tests.unit.ledger.ledger_worlds import ACCOUNT, NOW, SECOND, a_decision, a_permit, a_report, an_order

ROUNDS = 10
PART = Decimal("0.25")


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return migrated(request, tmp_path)


@pytest.fixture
def ledger(url: str) -> Iterator[SqlLedger]:
    """The same one, for what happens before and after."""
    ledger = SqlLedger(url)
    yield ledger
    ledger.close()


def sent(ledger: SqlLedger, turn: int, number: int, side: Side, opener: DecisionId | None = None) -> Order:
    """An order of a decision of its own that is on its way."""
    at = NOW + number * SECOND
    decision = a_decision(f"S{turn}", at, opener=opener)
    permit = a_permit(decision)
    order = an_order(permit, side=side, qty=PART, created_at=at, state=OrderState.SENDING, sent_at=at)
    with ledger.begin() as unit:
        assert unit.decisions.open(decision) is None
        unit.permits.add(permit)
        unit.orders.add(order)
        if opener is None:  # a symbol has one open decision of the chain
            unit.decisions.end(decision.decision_id, EndReason.FILLED, "", at)
    return order


def fill(ledger: SqlLedger, order: Order, name: str) -> OrderState:
    """Book all of it, and end its decision in the same transaction, as whoever placed it does."""
    trade = Trade(
        trade_id=name,
        exchange_order_id="8000001",
        side=order.side,
        qty=order.qty,
        price=Decimal(100),
        fee=Decimal("0.01"),
        fee_asset="USDT",
        occurred_at=NOW,
    )

    def end(unit: Unit, after: Order) -> None:
        unit.decisions.end(after.decision_id, EndReason.FILLED, "", NOW)

    clock = FixedClock(NOW)
    books = Bookkeeper(ledger, FakeVenue(clock, account=ACCOUNT), clock, RecordedEvents())
    report = a_report(order, OrderState.FILLED, str(order.qty), "100")
    return books.settle(order, report, end, [trade]).state


def _fill_mine(ledger: SqlLedger, racer: int, turn: int) -> OrderState:
    at = NOW + (racer + 1) * SECOND
    with ledger.read() as unit:
        [mine] = [each for each in unit.orders.recent(ACCOUNT, f"S{turn}", at) if each.created_at == at]
    return fill(ledger, mine, f"t{turn}/{racer}")


def _position(ledger: SqlLedger, turn: int) -> Position:
    with ledger.read() as unit:
        [position] = unit.positions.latest(symbol=f"S{turn}")
    return position


def test_a_position_follows_orders_that_are_booked_at_once(url: str, ledger: SqlLedger) -> None:
    """A stop and a close of one position, booked by two processes: whoever saves last must have seen the other's."""
    for turn in range(ROUNDS):
        entry = sent(ledger, turn, 0, Side.BUY)
        fill(ledger, entry, f"t{turn}")
        for racer in range(RACERS):
            sent(ledger, turn, racer + 1, Side.BUY, entry.decision_id)
    for turn, answers in enumerate(race(url, _fill_mine, ROUNDS)):
        assert answers == [OrderState.FILLED] * RACERS
        assert _position(ledger, turn).qty == (1 + RACERS) * PART


def test_first_fills_that_are_booked_at_once_make_one_position(url: str, ledger: SqlLedger) -> None:
    """There is no row yet that anybody could lock."""
    for turn in range(ROUNDS):
        for racer in range(RACERS):
            sent(ledger, turn, racer + 1, Side.BUY)
    for turn, answers in enumerate(race(url, _fill_mine, ROUNDS)):
        assert answers == [OrderState.FILLED] * RACERS
        assert _position(ledger, turn).qty == RACERS * PART
