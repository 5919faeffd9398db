"""Stops and targets that are older than the exchange's memory: what ended without a trade it tells nobody any more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from pipeline.domain.events import EventName
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Order, OrderReport, OrderState
from pipeline.execution.booking import step_if_allowed
from pipeline.testing import FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT, BTC
from tests.unit.stages.protected_worlds import WHOLE, ProtectedWorld

MEMORY = timedelta(days=3)
MOST_CYCLES = 25


@dataclass(slots=True)
class Forgetful(FakeVenue):
    """Knows nothing of what ended without a trade and was placed three days ago; nor, while `is_blank`, of any order
    that waits or did.
    """

    is_blank: bool = False

    def find(self, order: Order) -> OrderReport | None:
        return self._remembered(order, super(Forgetful, self).find(order))

    def listed(self, order: Order, since: object) -> OrderReport | None:
        return self._remembered(order, super(Forgetful, self).find(order))

    def waiting(self, symbols: Collection[str]) -> frozenset[ClientOrderId]:
        return frozenset() if self.is_blank else super(Forgetful, self).waiting(symbols)

    def _remembered(self, order: Order, report: OrderReport | None) -> OrderReport | None:
        if report is None or (self.is_blank and order.type.waits):
            return None
        ended = report.state.is_final and not report.filled_qty
        return None if ended and self.clock.now() - order.created_at > MEMORY else report


def old_world(days: float = 4) -> tuple[ProtectedWorld, Forgetful]:
    """A position with its stop and its target, that long after."""
    world = ProtectedWorld()
    venue = Forgetful(world.clock, account=ACCOUNT)
    world.venue = venue
    world.buy()
    world.protect()
    world.pass_time(timedelta(days=days).total_seconds())
    assert world.cycle() == []
    return world, venue


def guard(world: ProtectedWorld, leg: Leg) -> Order:
    """The first that was placed."""
    return next(each for each in world.exit_orders if each.leg is leg)


def cycles_until_settled(world: ProtectedWorld, leg: Leg) -> None:
    for _ in range(MOST_CYCLES):
        if guard(world, leg).state.is_final:
            return
        world.cycle()


def blocked(world: ProtectedWorld) -> bool:
    """Whether an order of open fate keeps the symbol closed."""
    with world.ledger.read() as unit:
        return bool(unit.orders.under_way(ACCOUNT, BTC))


def test_an_old_stop_that_somebody_cancelled_is_placed_again_within_one_cycle() -> None:
    """The exchange does not say what became of it: until it is known, it protects nothing."""
    world, venue = old_world()
    venue.cancel(guard(world, Leg.STOP))
    assert world.cycle() == [BTC]
    assert world.resting == WHOLE
    assert guard(world, Leg.STOP).state is OrderState.UNKNOWN
    (told,) = world.events.of(EventName.ORDER_UNKNOWN)
    assert "does not know it any more" in str(told["problem"])


def test_an_old_stop_that_is_gone_expires_once_that_is_proven() -> None:
    """Otherwise its symbol would be closed for ever, and each reconciliation would escalate it."""
    world, venue = old_world()
    venue.cancel(guard(world, Leg.STOP))
    cycles_until_settled(world, Leg.STOP)
    gone = guard(world, Leg.STOP)
    assert (gone.state, gone.misses >= world.options.not_placed_misses) == (OrderState.EXPIRED, True)
    assert not blocked(world)
    assert world.cycle() == []
    assert (world.resting, len(venue.accepted)) == (WHOLE, 4)


def test_the_stop_of_an_old_position_that_its_target_closed_is_settled_at_once() -> None:
    """It is taken back, and forgotten with that: but the exchange has said that it took it."""
    world, venue = old_world(days=30)
    venue.move(Decimal("63000"))
    world.cycle()
    assert guard(world, Leg.STOP).state is OrderState.CANCELED
    assert guard(world, Leg.TARGET).state is OrderState.FILLED
    assert (world.position.is_open, world.resting, blocked(world)) == (False, {}, False)


def test_a_stop_that_fills_while_it_is_taken_back_is_booked_all_the_same() -> None:
    """Whatever the answer to the cancellation says: what the exchange tells of the order counts for more."""
    world, venue = old_world()
    stop = guard(world, Leg.STOP)
    venue.move(Decimal("58000"))
    assert world.resolver.ask(stop, is_cancelled=True).state is OrderState.FILLED
    assert not world.position.is_open


def test_a_target_that_is_older_than_a_week_and_filled_keeps_no_lost_stop_open() -> None:
    """Its trade is booked: it belongs to somebody, though the order behind it is not looked for that far back."""
    world, venue = old_world(days=20)
    venue.cancel(guard(world, Leg.STOP))
    world.cycle()
    world.pass_time(timedelta(days=4).total_seconds())
    second = world.exit_orders[-1]
    venue.cancel(second)
    venue.move(Decimal("63000"))
    for _ in range(MOST_CYCLES):
        world.cycle()
    assert not blocked(world)
    assert {each.state for each in world.exit_orders} == {OrderState.EXPIRED, OrderState.FILLED}


def test_a_stop_that_has_filled_is_not_called_expired_while_nobody_tells_of_it() -> None:
    """The position proves that something was traded; once the exchange remembers, the fill is booked."""
    world, venue = old_world()
    venue.is_blank = True
    venue.move(Decimal("58000"))
    venue.trades_late_by = timedelta(days=1)
    for _ in range(MOST_CYCLES):
        world.cycle()
    assert guard(world, Leg.STOP).state is OrderState.UNKNOWN
    venue.is_blank, venue.trades_late_by = False, timedelta(0)
    cycles_until_settled(world, Leg.STOP)
    assert (guard(world, Leg.STOP).state, world.position.is_open) == (OrderState.FILLED, False)


def test_guards_that_were_only_lost_from_sight_are_found_again_and_none_is_left_over() -> None:
    """The exchange knew nothing for a while: what was placed meanwhile is one too many of each."""
    world, venue = old_world(days=0.1)
    venue.is_blank = True
    world.cycle()
    assert len(venue.resting) == 4
    venue.is_blank = False
    world.cycle()
    world.cycle()
    assert (world.resting, blocked(world)) == (WHOLE, False)


def test_the_word_of_a_sender_that_comes_late_undoes_no_acknowledgement() -> None:
    """It heard nothing; meanwhile somebody has asked, and the order waits."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    stop = guard(world, Leg.STOP)
    sending = replace(stop, state=OrderState.SENDING, exchange_order_id="")
    with world.ledger.begin() as unit:
        after = step_if_allowed(unit, sending, OrderState.UNKNOWN, world.clock.now(), "no answer")
    assert after == guard(world, Leg.STOP) == stop
