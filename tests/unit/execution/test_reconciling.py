"""Ledger and exchange put in agreement: what a rule repairs, what is left alone, and what calls somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from pipeline.domain.decisions import Unresolved
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import TimeInForce
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.reconciliation import Finding, Remedy
from pipeline.domain.signals import Side
from pipeline.execution.reconciling import PATIENCE, Reconciler
from pipeline.testing import Accident
from tests.unit.execution.order_worlds import ACCOUNT, BTC, OrderWorld, decision

D = Decimal


def reconcile(world: OrderWorld) -> Sequence[Finding]:
    return Reconciler(world.ledger, world.venue, world.clock, world.events, ACCOUNT).run()


def remedies(world: OrderWorld) -> list[Remedy]:
    return [each.remedy for each in reconcile(world)]


def restored(world: OrderWorld) -> OrderWorld:
    """The same exchange, with a ledger from before the order: its decision and its permit are there."""
    older = OrderWorld(intent=world.intent, clock=world.clock)
    older.venue = world.venue
    return older


def somebody_trades(world: OrderWorld, **changes: object) -> Order:
    """An order that somebody else places on our account."""
    world.place()
    order = replace(world.order, client_order_id=ClientOrderId("web_a1B2c3"), **changes)  # type: ignore[arg-type]
    world.venue.submit(order, world.permit)
    return order


def test_what_agrees_is_no_finding() -> None:
    """Every few seconds, for months."""
    world = OrderWorld()
    world.place()
    assert reconcile(world) == []


def test_an_order_of_ours_that_a_restored_ledger_has_lost_is_adopted_with_its_fills() -> None:
    """Its id follows from a decision, and it is the permitted order to the last digit."""
    world = OrderWorld()
    world.place()
    older = restored(world)
    assert remedies(older) == [Remedy.ADOPTED]
    assert (older.state, older.held) == (OrderState.FILLED, world.held)
    assert older.filled == world.filled
    assert older.order.fee == world.order.fee
    assert reconcile(older) == []


def test_an_order_with_our_id_that_nobody_permitted_is_escalated() -> None:
    """Another program with our key, or a bug of ours: a person must look."""
    world = OrderWorld()
    world.place()
    older = OrderWorld(intent=replace(world.intent, qty=D("0.009")), clock=world.clock)
    older.venue = world.venue
    found = reconcile(older)
    assert [each.remedy for each in found] == [Remedy.ESCALATED, Remedy.ESCALATED]
    assert "its quantity is 0.01, permitted was 0.009" in found[0].what
    assert older.orders == []


def test_a_strangers_open_order_stays_untouched() -> None:
    """Somebody trades by hand on the same account."""
    world = OrderWorld()
    order = somebody_trades(world, limit_price=D("50000"), tif=TimeInForce.GTC)
    assert remedies(world) == [Remedy.LEFT]
    assert [each.client_order_id for each in world.venue.resting] == [order.client_order_id]


def test_what_is_compared_every_few_seconds_does_not_list_all_open_orders() -> None:
    """That list costs forty requests' worth of the exchange's budget."""
    world = OrderWorld()
    somebody_trades(world, limit_price=D("50000"), tif=TimeInForce.GTC)
    reconciler = Reconciler(world.ledger, world.venue, world.clock, world.events, ACCOUNT)
    assert reconciler.run(thorough=False) == []
    assert [each.remedy for each in reconciler.run()] == [Remedy.LEFT]


def test_a_strangers_position_is_named_and_blocks() -> None:
    """Nothing is opened on an account whose positions nobody can account for."""
    world = OrderWorld()
    somebody_trades(world)
    left, position = reconcile(world)
    assert (left.remedy, position.remedy) == (Remedy.LEFT, Remedy.ESCALATED)
    assert position.blocks
    assert "the ledger holds 0.01, the exchange 0.02" in position.what.replace("0.010", "0.01").replace(
        "0.020", "0.02"
    )


def test_a_fill_that_comes_after_all_proof_is_booked() -> None:
    """The exchange accepted an order minutes after every list had denied it."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LATE]
    world.venue.late_by = timedelta(minutes=5)
    world.place()
    world.resolve_until(lambda: world.state is OrderState.NOT_PLACED)
    world.pass_time(300)
    assert remedies(world) == [Remedy.BOOKED]
    assert (world.state, world.held) == (OrderState.FILLED, D("0.010"))


def test_trades_that_are_never_listed_are_booked_from_the_order_once_the_position_proves_them() -> None:
    """Otherwise the order stays open, and its symbol closed, for ever."""
    world = OrderWorld()
    world.venue.trades_late_by = timedelta(days=1)
    assert isinstance(world.place(), Unresolved)
    assert reconcile(world) == []  # it may still list them
    world.pass_time(PATIENCE.total_seconds() + 1)
    assert remedies(world) == [Remedy.BOOKED]
    assert (world.state, world.held, world.order.fee) == (OrderState.FILLED, D("0.010"), D(0))
    world.venue.trades_late_by = timedelta(0)
    assert reconcile(world) == []
    assert world.held == D("0.010")  # what is listed at last is not booked a second time


def test_unlisted_trades_are_not_believed_when_the_position_says_otherwise() -> None:
    """Then nobody knows what happened, and somebody must find out."""
    world = OrderWorld()
    world.venue.trades_late_by = timedelta(days=1)
    world.place()
    theirs = replace(
        world.order, client_order_id=ClientOrderId("web_a1"), side=Side.SELL, limit_price=D("50000")
    )
    world.venue.submit(theirs, world.permit)
    world.pass_time(PATIENCE.total_seconds() + 1)
    assert Remedy.ESCALATED in remedies(world)
    assert (world.state, world.held) == (OrderState.ACKED, D(0))


def test_an_order_that_the_exchange_has_forgotten_is_escalated() -> None:
    """A simulated exchange that was started anew, an account that was reset."""
    world = OrderWorld()
    world.venue.trades_late_by = timedelta(days=1)
    world.place()
    world.venue._book.clear()
    world.pass_time(PATIENCE.total_seconds() + 1)
    (found,) = reconcile(world)
    assert found.blocks
    assert (found.symbol, "does not know it any more" in found.what) == (BTC, True)


def test_a_decision_that_is_none_of_ours_adopts_nothing() -> None:
    """Thirty-two hex digits alone prove nothing."""
    world = OrderWorld()
    world.place()
    other = OrderWorld(decision=decision("another"), clock=world.clock)
    other.venue = world.venue
    assert remedies(other) == [Remedy.LEFT, Remedy.ESCALATED]
    assert other.orders == []
