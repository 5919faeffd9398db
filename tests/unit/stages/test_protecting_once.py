"""In each cycle a symbol is protected once, however many orders on it nobody knows the fate of."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.domain.decisions import Decision
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Order, OrderReport
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Permit
from pipeline.execution.job import Job
from pipeline.stages.protecting import Urgent
from pipeline.testing import Accident, FakeVenue
from tests.unit.execution.order_worlds import BTC
from tests.unit.stages.protected_worlds import QTY, ProtectedWorld, another

ONE_OF_EACH = [Leg.STOP, Leg.TARGET]


def sent_in_a_cycle(world: ProtectedWorld) -> list[Leg]:
    """Every request is lost, and somebody has bought a little by hand: the positions differ for ever."""
    world.venue.held_before = Decimal("0.002")
    world.venue.accidents = [Accident.LOST_REQUEST] * 100
    before = len(world.venue.requests)
    world.cycle()
    return [each.leg for each in world.venue.requests[before:]]


def test_guards_in_doubt_bring_no_more_than_one_of_each_leg_in_a_cycle() -> None:
    """Each of them once brought two more: after four cycles the exchange would have banned our address."""
    world = ProtectedWorld()
    world.buy()
    assert [sent_in_a_cycle(world) for _ in range(4)] == [ONE_OF_EACH] * 4


def test_an_entry_in_doubt_beside_them_brings_no_more_either() -> None:
    """Nothing new was found out about it: the position has been protected in this cycle already."""
    world = ProtectedWorld()
    world.buy()
    world.venue.accidents = [Accident.LOST_REQUEST]
    other = another("in doubt")
    world.router.place(other, world.intent, world.permitted(other, world.intent))
    assert [sent_in_a_cycle(world) for _ in range(4)] == [ONE_OF_EACH] * 4


def test_a_guard_in_doubt_is_asked_about_once_in_a_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever protects its position asks; where the positions differ nobody else does."""
    world = ProtectedWorld()
    world.buy()
    sent_in_a_cycle(world)
    in_doubt, asked = {each.client_order_id for each in world.exit_orders}, list[ClientOrderId]()

    def find(self: FakeVenue, order: Order) -> OrderReport | None:
        asked.append(order.client_order_id)
        return answer(self, order)

    answer = FakeVenue.find
    monkeypatch.setattr(FakeVenue, "find", find)
    world.protector().cycle()
    assert sorted(each for each in asked if each in in_doubt) == sorted(in_doubt)


def test_all_fills_of_a_symbol_are_booked_before_its_position_is_protected_once() -> None:
    """A burst takes one piece of work for each symbol: what another one held would be left behind."""
    world, left, second = ProtectedWorld(), list[Urgent](), another("second")
    fill_and_die(world, world.decision, world.permit)
    fill_and_die(world, second, world.permitted(second, world.intent))
    world.protector().cycle(left.append)
    assert [each.symbol for each in left] == [BTC]
    left[0].deal()
    guards = [(each.leg, each.qty) for each in world.venue.requests[2:]]
    assert guards == [(Leg.STOP, 2 * QTY), (Leg.TARGET, 2 * QTY)]


def fill_and_die(world: ProtectedWorld, entered: Decision, permit: Permit) -> None:
    """An entry that has filled, and whose sender never heard of it; its decision's time is over."""
    with world.ledger.begin(durable=True) as unit:
        order = world.router.intend(unit, entered, world.intent, permit)
        sending = world.router.claim_intended(unit, Job(entered, world.intent, permit), order)
        unit.decisions.end(entered.decision_id, EndReason.DEADLINE, "", world.clock.now())
    assert sending is not None
    world.venue.submit(sending, permit)
