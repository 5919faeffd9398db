"""A trade counts once; a symbol has one open position; equity is a curve."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import ClientOrderId, PositionId
from pipeline.domain.intents import Leg, OrderType
from pipeline.domain.orders import OrderState
from pipeline.domain.positions import Equity
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import (
    ACCOUNT,
    BTC,
    ETH,
    NOW,
    SECOND,
    a_decision,
    a_fill,
    a_permit,
    a_position,
    an_order,
    closed,
    open_one,
    ordered,
)


def test_a_fill_is_read_back_equal(ledger: SqlLedger) -> None:
    """From its decision and from its order, oldest first."""
    order = ordered(ledger, state=OrderState.SENDING)
    late, early = a_fill(order, "t2", occurred_at=NOW + SECOND), a_fill(order, "t1")
    with ledger.begin() as unit:
        assert unit.fills.add(late)
        assert unit.fills.add(early)
        assert list(unit.fills.of(order.decision_id)) == [early, late]
        assert list(unit.fills.of_order(order.client_order_id)) == [early, late]


def test_a_trade_told_twice_counts_once(ledger: SqlLedger) -> None:
    """The exchange repeats itself; positions and fees must not."""
    order = ordered(ledger, state=OrderState.SENDING)
    with ledger.begin() as unit:
        assert unit.fills.add(a_fill(order))
        assert not unit.fills.add(a_fill(order, qty=Decimal(9)))
        assert list(unit.fills.of(order.decision_id)) == [a_fill(order)]
        found = unit.orders.get(order.client_order_id)
    assert found is not None
    assert found.fee == a_fill(order).fee


def test_an_order_carries_the_fees_of_its_fills(ledger: SqlLedger) -> None:
    """In the asset of the first; a fee in another asset cannot be added to it and stays on its fill."""
    order = ordered(ledger, state=OrderState.SENDING)
    with ledger.begin() as unit:
        unit.fills.add(a_fill(order, "t1", fee=Decimal("0.1")))
        unit.fills.add(a_fill(order, "t2", fee=Decimal("0.2")))
        unit.fills.add(a_fill(order, "t3", fee=Decimal("0.3"), fee_asset="BNB"))
        found = unit.orders.get(order.client_order_id)
    assert found is not None
    assert (found.fee, found.fee_asset) == (Decimal("0.3"), "USDT")


def test_a_fill_without_its_order_is_an_alarm(ledger: SqlLedger) -> None:
    """Somebody trades on our account."""
    stranger = an_order(a_permit(open_one(ledger)))
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.fills.add(a_fill(stranger))


def test_a_position_is_saved_and_replaced(ledger: SqlLedger) -> None:
    """It is what its fills add up to, so each fill rewrites it."""
    decision = open_one(ledger)
    position = a_position(decision)
    larger = replace(position, qty=Decimal("0.5"), realised_pnl=Decimal("-1.25"))
    with ledger.begin() as unit:
        unit.positions.save(position)
        assert unit.positions.open_of(ACCOUNT, BTC) == position
        unit.positions.save(larger)
        assert unit.positions.open_of(ACCOUNT, BTC) == larger
        assert unit.positions.get(position.position_id) == larger
        assert unit.positions.lock(position.position_id) == larger
        assert unit.positions.get("pos_unknown") is None


def test_a_position_is_unprotected_until_its_stop_waits(ledger: SqlLedger) -> None:
    """Whoever executes asks so often that it must be cheap; a target, or a stop on its way, protects nothing yet."""
    opener = open_one(ledger)
    stop = a_permit(open_one(ledger, BTC, NOW + SECOND, opener=opener.decision_id), Leg.STOP)
    order = an_order(stop, type=OrderType.STOP_MARKET, state=OrderState.SENDING, sent_at=NOW)
    target = replace(order, client_order_id=ClientOrderId("t"), leg=Leg.TARGET, state=OrderState.ACKED)
    with ledger.begin() as unit:
        assert unit.positions.unprotected(ACCOUNT) == {}
        unit.positions.save(a_position(opener))
        unit.permits.add(stop)
        unit.orders.add(order)
        unit.orders.add(target)
        assert unit.positions.unprotected(ACCOUNT) == {BTC: NOW}
        assert unit.positions.unprotected("paper:other") == {}
        unit.orders.step(order, OrderState.ACKED, NOW)
        assert unit.positions.unprotected(ACCOUNT) == {}


def test_a_symbol_has_one_open_position(ledger: SqlLedger) -> None:
    """A second one would hide from every limit that asks for the first."""
    position = a_position(open_one(ledger))
    second = replace(position, position_id=PositionId("pos_other"))
    with ledger.begin() as unit:
        unit.positions.save(position)
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.positions.save(second)
    with ledger.read() as unit:
        assert unit.positions.all_open() == [position]


def test_a_closed_position_makes_room_for_the_next(ledger: SqlLedger) -> None:
    """And remembers who opened and who closed it."""
    opener, closer = open_one(ledger), open_one(ledger, ETH)
    first = a_position(opener)
    second = a_position(closer, symbol=BTC, opened_at=NOW + SECOND)
    with ledger.begin() as unit:
        unit.positions.save(first)
        unit.positions.save(closed(first, closer))
        unit.positions.save(second)
        assert unit.positions.open_of(ACCOUNT, BTC) == second
        assert list(unit.positions.touched_by(opener.decision_id)) == [closed(first, closer)]
        assert list(unit.positions.touched_by(closer.decision_id)) == [closed(first, closer), second]


def test_a_closed_position_is_never_opened_again(ledger: SqlLedger) -> None:
    """What it lost would be gone, and with it the pause after a loss."""
    opener = open_one(ledger)
    position = a_position(opener)
    with ledger.begin() as unit:
        unit.positions.save(position)
        unit.positions.save(closed(position, opener))
    with pytest.raises(InvariantBroken, match="closed already"), ledger.begin() as unit:
        unit.positions.save(position)
    with ledger.read() as unit:
        assert unit.positions.get(position.position_id) == closed(position, opener)


@pytest.mark.parametrize("wrong", [{"qty": Decimal(0)}, {"qty": Decimal(-1)}, {"closed_at": NOW}])
def test_a_position_is_open_exactly_while_it_holds_something(
    ledger: SqlLedger, wrong: dict[str, object]
) -> None:
    """An empty open one would block its symbol; a closed one with quantity would be forgotten exposure."""
    decision = open_one(ledger)
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.positions.save(a_position(decision, **wrong))


def test_open_positions_are_listed_by_account_and_latest_ones_first(ledger: SqlLedger) -> None:
    """The governor asks for the first, people for the second."""
    btc, eth = a_position(open_one(ledger)), a_position(open_one(ledger, ETH), opened_at=NOW + SECOND)
    other = a_position(open_one(ledger, "SOL", account="live:main", mode=Mode.LIVE))
    done = closed(replace(eth, symbol="XRP", position_id=PositionId("pos_done")), a_decision())
    with ledger.begin() as unit:
        for position in (done, btc, eth, other):
            unit.positions.save(position)
        assert list(unit.positions.all_open()) == [btc, eth, other]
        assert list(unit.positions.all_open(ACCOUNT)) == [btc, eth]
        assert unit.positions.latest()[0] == eth
        assert unit.positions.latest()[-1] == done
        assert list(unit.positions.latest(symbol=BTC)) == [btc]
        assert list(unit.positions.latest(mode="live")) == [other]


def test_the_latest_equity_is_the_exchanges_newest(ledger: SqlLedger) -> None:
    """Not the one that happened to be written last; and one instant is kept once."""
    new, old = _equity(NOW, "10000.5"), _equity(NOW - SECOND, "9000")
    with ledger.begin() as unit:
        assert unit.equity.latest(ACCOUNT) is None
        for equity in (new, old, replace(new, equity=Decimal(1))):
            unit.equity.add(equity)
        assert unit.equity.latest(ACCOUNT) == new
        assert unit.equity.latest("paper:other") is None


def _equity(at: datetime, amount: str) -> Equity:
    return Equity(
        account=ACCOUNT,
        mode=Mode.PAPER,
        equity=Decimal(amount),
        available=Decimal("8000.000001"),
        unrealised_pnl=Decimal("-12.5"),
        occurred_at=at,
        recorded_at=NOW + SECOND,
    )
