"""Fills and positions: exact, once, and final together with their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.errors import InvariantBroken
from pipeline.domain.events import EventName
from pipeline.domain.intents import TimeInForce
from pipeline.domain.orders import OrderState, Trade, may_step
from pipeline.domain.outcomes import EndReason
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side
from pipeline.execution.accounts import compare_positions, refresh_equity
from pipeline.execution.booking import Bookkeeper, book_trades, next_state, slippage_bps
from pipeline.testing import FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT, BTC, NOON, OrderWorld, decision, intent


@pytest.mark.parametrize(
    ("side", "price", "bps"),
    [(Side.BUY, "60060", "10.0000"), (Side.BUY, "59940", "-10.0000"), (Side.SELL, "59940", "10.0000")],
)
def test_slippage_is_positive_when_it_cost_us(side: Side, price: str, bps: str) -> None:
    """Its sign is the first thing that a report gets wrong."""
    assert slippage_bps(side, Decimal(price), Decimal(60000)) == Decimal(bps)


def test_fills_carry_fee_slippage_and_both_clocks() -> None:
    """E7: recorded for every fill."""
    world = OrderWorld()
    world.place()
    with world.ledger.read() as unit:
        fills = unit.fills.of(world.decision.decision_id)
    assert [fill.fee for fill in fills] == [Decimal("0.12"), Decimal("0.12")]
    assert {fill.slippage_bps for fill in fills} == {Decimal("1.6669")}
    assert {(fill.occurred_at, fill.recorded_at) for fill in fills} == {(NOON, NOON)}


def test_a_sale_that_closes_names_who_opened_and_who_closed() -> None:
    """E5: the exit carries both decisions."""
    world = OrderWorld()
    world.place()
    closing = decision("closing", BTC)
    with world.ledger.begin() as unit:
        unit.decisions.end(world.decision.decision_id, EndReason.FILLED, "", NOON)
    sale = intent(side=Side.SELL, limit_price=Decimal("59900.0"), reduce_only=True)
    permit = world.permitted(closing, sale)
    world.router.place(closing, sale, permit)
    assert world.held == 0
    closed = world.events.of(EventName.POSITION_CLOSED)[0]
    assert (closed["opened_by"], closed["closed_by"]) == (world.decision.decision_id, closing.decision_id)
    assert world.events.of(EventName.SELL_FILLED)[0]["opened_by"] == world.decision.decision_id


def filled_on(told: int) -> Sequence[Position]:
    """A resting entry fills in part, its stop closes that at a loss, and the entry fills to its end; each trade is told
    so often. The positions, the open one first.
    """
    world = OrderWorld(intent=intent(tif=TimeInForce.GTC, limit_price=Decimal("59000.0")))
    world.place_and_die()
    entry, stopping = world.order, decision("stop")
    sale = intent(side=Side.SELL, qty=Decimal("0.004"), reduce_only=True)
    with world.ledger.begin() as unit:
        unit.decisions.end(world.decision.decision_id, EndReason.FILLED, "", NOON)
    permit = world.permitted(stopping, sale)
    with world.ledger.begin() as unit:
        stop = world.router.intend(unit, stopping, sale, permit)
    sold = replace(_trade(2, Decimal("0.004")), side=Side.SELL, price=Decimal(50000))
    story = ((entry, _trade(1, Decimal("0.004"))), (stop, sold), (entry, _trade(3, Decimal("0.006"))))
    for order, trade in story * told:
        with world.ledger.begin() as unit:
            book_trades(unit, order, [trade], "binanceusdm", NOON)
    with world.ledger.read() as unit:
        assert unit.journal.problems(ACCOUNT) == []
        return unit.positions.latest(account=ACCOUNT)


def test_an_entry_that_fills_on_after_its_stop_opens_another_position_and_the_loss_stays() -> None:
    """The pause after a loss counts on it."""
    second, lost = filled_on(told=2)
    assert (lost.lost, lost.qty, lost.realised_pnl) == (True, Decimal(0), Decimal(-40))
    assert (second.is_open, second.qty, second.realised_pnl) == (True, Decimal("0.006"), Decimal(0))
    assert second.opened_by == lost.opened_by


def test_fills_that_are_booked_anew_name_their_positions_as_before() -> None:
    """After a restore, what rests on the exchange for a position is known by the position's name."""
    once, again = ([each.position_id for each in filled_on(told)] for told in (1, 3))
    assert once == again


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_trades_in_any_order_and_any_number_of_times_make_the_same_position(data: st.DataObject) -> None:
    """Exchanges repeat trades and tell them out of order."""
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    trades = [_trade(place, Decimal(size) / 1000) for place, size in enumerate(sizes)]
    told = data.draw(st.permutations(trades + data.draw(st.lists(st.sampled_from(trades), max_size=4))))
    world = OrderWorld(intent=intent(qty=Decimal("0.020")))
    world.venue.trades_late_by = timedelta(days=1)
    world.place()
    order = world.order
    for trade in told:
        with world.ledger.begin() as unit:
            book_trades(unit, order, [trade], "binanceusdm", NOON)
    assert world.filled == world.held == sum(trade.qty for trade in trades)
    assert world.order.fee == sum(trade.fee for trade in trades)


TENS = [sizes for many in (3, 4) for sizes in product(range(1, 5), repeat=many) if sum(sizes) == 10]
"""Ten in three or four parts, none above four."""


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_reports_of_a_resting_order_in_any_order_and_repeated_end_the_same(data: st.DataObject) -> None:
    """An old report must not undo a new one, and a known one must not keep anybody busy."""
    world = OrderWorld(intent=intent(tif=TimeInForce.GTC, limit_price=Decimal("59000.0")))
    world.place_and_die()
    parts = data.draw(st.sampled_from(TENS))
    reports = []
    for part in parts:
        world.venue.trade(Decimal(part) / 1000)
        found = world.venue.find(world.order)
        assert found is not None
        reports.append(found)
    told = data.draw(st.permutations(reports + data.draw(st.lists(st.sampled_from(reports), max_size=4))))
    books = Bookkeeper(world.ledger, world.venue, world.clock, world.events)
    for report in told:
        books.settle(world.order, report)
    books.settle(world.order, reports[-1])
    assert (world.state, world.order.filled_qty) == (OrderState.FILLED, Decimal("0.010"))
    assert world.filled == world.held == Decimal("0.010")


def test_a_trade_on_the_wrong_side_stops_everything() -> None:
    """It cannot be this order's."""
    world = OrderWorld()
    world.place()
    order = world.order
    with pytest.raises(InvariantBroken, match="sell"), world.ledger.begin() as unit:
        book_trades(unit, order, [replace(_trade(9, Decimal(1)), side=Side.SELL)], "binanceusdm", NOON)


def test_no_report_leads_off_the_table_of_steps() -> None:
    """Whatever the exchange says, from wherever the order stands."""
    for current, told, covered in product(OrderState, OrderState, (True, False)):
        to = next_state(current, told, covered=covered)
        assert to is None or may_step(current, to)


def test_equity_is_stored_as_the_exchange_told_it() -> None:
    """The governor blocks without it."""
    world = OrderWorld()
    refresh_equity(world.ledger, world.venue, world.events)
    with world.ledger.read() as unit:
        stored = unit.equity.latest(ACCOUNT)
    assert stored == world.venue.equity()


def test_positions_that_differ_are_named_with_both_quantities() -> None:
    """E6: every difference is named."""
    world = OrderWorld()
    assert compare_positions(world.ledger, world.venue, ACCOUNT) == []
    world.place()
    assert compare_positions(world.ledger, world.venue, ACCOUNT) == []
    stranger = FakeVenue(world.clock)
    [difference] = compare_positions(world.ledger, stranger, ACCOUNT)
    assert (difference.symbol, difference.ours, difference.theirs) == (BTC, Decimal("0.010"), Decimal(0))


def _trade(place: int, qty: Decimal) -> Trade:
    return Trade(
        trade_id=str(place),
        exchange_order_id="1",
        side=Side.BUY,
        qty=qty,
        price=Decimal("60000"),
        fee=qty * 24,
        fee_asset="USDT",
        occurred_at=NOON + timedelta(milliseconds=place),
    )
