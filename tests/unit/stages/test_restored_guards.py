"""Stops and targets that rest on the exchange while the ledger, restored from before them, knows nothing of them."""

from __future__ import annotations

from dataclasses import replace

from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import Leg
from pipeline.domain.orders import OrderState
from pipeline.domain.permits import PermitState
from pipeline.domain.reconciliation import Remedy
from pipeline.execution.reconciling import Reconciler
from tests.unit.execution.order_worlds import ACCOUNT
from tests.unit.stages.protected_worlds import STOP, WHOLE, ProtectedWorld

L, A, T, C = Remedy.LEFT, Remedy.ADOPTED, Remedy.TOLD, Remedy.CANCELED


def reconcile(world: ProtectedWorld) -> list[Remedy]:
    reconciler = Reconciler(world.ledger, world.venue, world.clock, world.events, ACCOUNT)
    return [each.remedy for each in reconciler.run()]


def protected() -> ProtectedWorld:
    world = ProtectedWorld()
    world.buy()
    world.protect()
    return world


def restored(world: ProtectedWorld) -> ProtectedWorld:
    """The same exchange, with a ledger from before the entry was sent."""
    older = ProtectedWorld(clock=world.clock)
    older.venue = world.venue
    older.pass_time(60)
    return older


def with_its_exits(older: ProtectedWorld, world: ProtectedWorld) -> ProtectedWorld:
    """The backup was made when the exits had their permits and nothing was sent."""
    exits = world.exits
    with world.ledger.read() as before, older.ledger.begin() as unit:
        for each in exits:
            unit.decisions.open(replace(each, outcome=None, reason=None, ended_at=None))
            permit = before.permits.of(each.decision_id)
            assert permit is not None
            unit.permits.add(replace(permit, state=PermitState.ISSUED, used_at=None))
    return older


def test_a_stop_whose_decision_is_known_is_adopted_and_protects_again() -> None:
    """No second one is placed beside it, and it closes the position under its own name."""
    world = protected()
    older = with_its_exits(restored(world), world)
    assert sorted(reconcile(older)) == [A, A, A]
    assert older.resting == WHOLE
    assert not older.protect()
    assert reconcile(older) == []
    older.venue.move(STOP)
    older.cycle()
    closed_by = next(each.decision_id for each in older.exit_orders if each.leg is Leg.STOP)
    assert older.position.closed_by == closed_by


def test_a_stop_whose_decision_is_lost_is_taken_back_once_another_rests() -> None:
    """Its id follows from the position. Until the new one rests it is all that the position has."""
    world = protected()
    older = restored(world)
    before = {each.client_order_id for each in older.venue.resting}
    assert reconcile(older) == [L, L, A]  # the position itself comes back with its entry
    assert reconcile(older) == [T, T]
    assert {each.client_order_id for each in older.venue.resting} == before
    older.protect()
    assert reconcile(older) == [C, C]
    assert older.resting == WHOLE
    assert not before & {each.client_order_id for each in older.venue.resting}
    assert reconcile(older) == []


def test_a_strangers_stop_stays_where_it_is() -> None:
    """Somebody protects the position by hand as well: that is none of our business."""
    world = protected()
    theirs = replace(world.exit_orders[0], client_order_id=ClientOrderId("web_stop"), state=OrderState.INTENT)
    with world.ledger.read() as unit:
        permit = unit.permits.of(theirs.decision_id)
    assert permit is not None
    world.venue.submit(theirs, permit)
    digits = replace(theirs, client_order_id=ClientOrderId("0123456789abcdef" * 2))
    world.venue.submit(digits, permit)
    assert reconcile(world) == [L, L]
    world.cycle()
    names = {each.client_order_id for each in world.venue.resting}
    assert {theirs.client_order_id, digits.client_order_id} < names
