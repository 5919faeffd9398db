"""Limit orders that rest: their time, their cancellation, what follows them, and who cleans up after us."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.orders import Answer, Order, OrderReport, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Permit
from pipeline.domain.signals import Side
from pipeline.domain.switches import KillScope, KillSwitch
from pipeline.testing import Accident, FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT, BTC, NOON, OrderWorld, ended_for, intent

D = Decimal
RESTING = intent(tif=TimeInForce.GTC, limit_price=D("60090.0"), min_notional=D(100))
"""A purchase that may pay up to 60090 in a market of 59999.9 to 60000."""


def prices(world: OrderWorld) -> list[Decimal]:
    return [order.limit_price for order in world.orders]


def total(world: OrderWorld) -> Decimal:
    return sum((order.filled_qty for order in world.orders), D(0))


def test_a_limit_order_joins_its_own_side_first_and_pays_up_to_the_bound_at_last() -> None:
    """E2: limit with a time-out and a new price; never beyond what was permitted."""
    world = OrderWorld(intent=RESTING)
    world.venue.rests = True
    ending = world.place()
    assert prices(world) == [D("59999.9"), D("59999.9"), D("60090.0")]
    assert ended_for(ending) is EndReason.FILLED
    assert [order.state for order in world.orders] == [
        OrderState.CANCELED,
        OrderState.CANCELED,
        OrderState.FILLED,
    ]
    assert world.held == total(world) == D("0.010")


def test_a_new_attempt_follows_the_market() -> None:
    """The price is asked for again each time."""
    world = OrderWorld(intent=RESTING)
    world.venue.rests = True
    world.meanwhile = [lambda: setattr(world.venue, "best", D("60050.0"))]
    world.place()
    assert prices(world)[:2] == [D("59999.9"), D("60049.9")]


def test_only_the_remainder_is_asked_for_again() -> None:
    """Partial fills count against the permit's quantity."""
    world = OrderWorld(intent=RESTING)
    world.venue.rests = True
    world.meanwhile = [lambda: world.venue.trade("0.004")]
    assert ended_for(world.place()) is EndReason.FILLED
    assert [order.qty for order in world.orders] == [D("0.010"), D("0.006"), D("0.006")]
    assert world.held == D("0.010")


def test_a_fill_that_was_on_its_way_when_it_was_cancelled_is_counted() -> None:
    """The cancellation proves nothing until the exchange says how the order ended."""

    class Quick(FakeVenue):
        def cancel(self, order: Order) -> bool:
            if order.attempt == 1:
                self.trade("0.007")
            return super().cancel(order)

    world = OrderWorld(intent=RESTING)
    world.venue = Quick(world.clock, account=ACCOUNT, rests=True)
    assert ended_for(world.place()) is EndReason.FILLED
    assert [order.qty for order in world.orders][:2] == [D("0.010"), D("0.003")]
    assert world.held == D("0.010")


def test_a_cancellation_that_is_not_proven_final_is_followed_by_nothing() -> None:
    """It still rests: a second order beside it could fill as well."""

    class Deaf(FakeVenue):
        def cancel(self, order: Order) -> bool:
            """Takes the request and does nothing."""
            return False

    world = OrderWorld(intent=RESTING)
    world.venue = Deaf(world.clock, account=ACCOUNT, rests=True)
    world.place()
    assert len(world.venue.accepted) == 1
    assert world.state is OrderState.ACKED
    FakeVenue.cancel(world.venue, world.order)
    world.resolver.resolve(ACCOUNT)
    assert ended_for(world.place()) is EndReason.UNFILLED


@pytest.mark.parametrize("silent", ["find", "cancel"])
def test_an_exchange_that_falls_silent_meanwhile_leaves_the_order_to_the_resolver(silent: str) -> None:
    """No answer is neither a fill nor a cancellation."""

    class Silent(FakeVenue):
        off = True

        def find(self, order: Order) -> OrderReport | None:
            self._answered("find")
            return super().find(order)

        def cancel(self, order: Order) -> bool:
            self._answered("cancel")
            return super().cancel(order)

        def _answered(self, question: str) -> None:
            if self.off and question == silent:
                raise ExchangeUnavailable("silence")

    world = OrderWorld(intent=RESTING)
    world.venue = Silent(world.clock, account=ACCOUNT, rests=True)
    world.place()
    assert len(world.venue.accepted) == 1
    world.venue.off = False
    world.resolve_until(lambda: world.state.is_final)
    assert world.state is OrderState.CANCELED
    assert world.venue.resting == []


def test_a_remainder_below_the_minimum_is_named_and_left() -> None:
    """E7: an order that the exchange would refuse is not sent."""
    world = OrderWorld(intent=RESTING)
    world.venue.rests = True
    world.meanwhile = [lambda: world.venue.trade("0.009")]
    ending = world.place()
    assert ended_for(ending) is EndReason.PARTIALLY_FILLED
    assert len(world.orders) == 1
    (told,) = world.events.of(EventName.ORDER_REMAINDER)
    assert (told["rest"], told["why"]) == (
        D("0.001"),
        "it is worth less than the exchange's minimum of 100",
    )


def test_a_reduction_may_be_smaller_than_the_minimum() -> None:
    """Exchanges take it, and what is held must be got rid of."""
    selling = replace(RESTING, leg=Leg.CLOSE, side=Side.SELL, reduce_only=True, limit_price=D("59900.0"))
    world = OrderWorld(intent=selling)
    world.venue.rests, world.venue.held_before = True, D(1)
    world.meanwhile = [lambda: world.venue.trade("0.009")]
    assert ended_for(world.place()) is EndReason.FILLED
    assert [order.qty for order in world.orders][1] == D("0.001")
    assert prices(world) == [D("60000.0"), D("60000.0"), D("59900.0")]


def test_nothing_rests_longer_than_its_permit_lives() -> None:
    """A permit that has run out allows no order, so what rests under it is cancelled."""
    world = OrderWorld(intent=RESTING, options=replace(OrderWorld().options, rest_s=3600))
    world.venue.rests = True
    assert ended_for(world.place()) is EndReason.UNFILLED
    assert world.clock.now() <= world.permit.expires_at + timedelta(seconds=0.2)
    assert world.venue.resting == []
    assert len(world.orders) == 1


def test_a_kill_switch_stops_the_next_attempt() -> None:
    """The last questions are asked for every attempt."""
    world = OrderWorld(intent=RESTING)
    world.venue.rests = True

    def pull() -> None:
        with world.ledger.begin() as unit:
            switch = KillSwitch(scope=KillScope.GLOBAL, name="", reason="drill", set_by="anna", set_at=NOON)
            unit.switches.set(switch)

    world.meanwhile = [pull]
    assert ended_for(world.place()) is CheckCode.KILL_SWITCH
    assert len(world.venue.requests) == 1
    assert world.venue.resting == []


def test_without_a_quote_it_is_priced_at_its_bound() -> None:
    """A price that nobody knows is no reason to pay more, or to do nothing."""
    world = OrderWorld(intent=RESTING, no_quote=True)
    assert ended_for(world.place()) is EndReason.FILLED
    assert prices(world) == [D("60090.0")]


def test_a_worker_killed_while_its_order_rests_leaves_nothing_resting() -> None:
    """Whoever runs the resolver cancels it once its time is long over."""
    world = OrderWorld(intent=RESTING)
    world.venue.rests = True
    world.place_and_die()
    assert len(world.venue.resting) == 1
    world.resolve_until(lambda: world.state.is_final, every_s=1)
    assert world.state is OrderState.CANCELED
    assert len(world.venue.accepted) == 1
    assert ended_for(world.place()) is EndReason.UNFILLED


def test_the_next_attempt_counts_from_the_moment_the_last_one_ended() -> None:
    """Between two attempts a concurrent decision must not find the limits free."""
    world = OrderWorld()
    world.venue.accidents = [Accident.BUSY]
    world.place_and_die()
    states = [(order.attempt, order.state) for order in world.orders]
    assert states == [(1, OrderState.REJECTED), (2, OrderState.INTENT)]
    assert ended_for(world.place()) is EndReason.FILLED


# ---------------------------------------------------------------------------------------- dead-man switch


def test_the_dead_man_switch_is_set_before_an_entry_rests_and_taken_back_after() -> None:
    """Between sending and setting it nobody would clean up after us."""

    class Watched(FakeVenue):
        armed_at_send: bool = False

        def submit(self, order: Order, permit: Permit) -> Answer:
            self.armed_at_send = (BTC, 30.0) in self.dead_men
            return super().submit(order, permit)

    world = OrderWorld(intent=RESTING)
    world.venue = Watched(world.clock, account=ACCOUNT, rests=True)
    world.place()
    assert world.venue.armed_at_send
    assert world.venue.dead_men[-1] == (BTC, 0)


def test_an_order_that_does_not_rest_needs_none() -> None:
    """It costs a request."""
    world = OrderWorld()
    world.place()
    assert world.venue.dead_men == []


def test_an_entry_does_not_rest_where_nobody_would_clean_up() -> None:
    """Fail closed: the switch could not be set, so nothing is sent."""

    class Without(FakeVenue):
        def dead_man(self, symbol: str, after_s: float) -> None:
            raise ExchangeUnavailable("no such switch today")

    world = OrderWorld(intent=RESTING)
    world.venue = Without(world.clock, account=ACCOUNT, rests=True)
    assert ended_for(world.place()) is EndReason.UNAVAILABLE
    assert world.venue.requests == []


def test_when_everything_of_ours_is_gone_the_exchange_cancels_what_rests() -> None:
    """Nobody renews, nobody resolves."""
    world = OrderWorld(intent=RESTING)
    world.venue.rests = True
    world.place_and_die()
    world.pass_time(30)
    assert world.venue.resting == []
    world.resolver.resolve(ACCOUNT)
    assert world.state is OrderState.CANCELED


# ------------------------------------------------------------------------------------------ market orders

MARKET = intent(type=OrderType.MARKET)


def test_a_market_order_is_sent_while_the_market_is_within_its_bound() -> None:
    """Slippage is bounded where the exchange does not bound it."""
    world = OrderWorld(intent=MARKET)
    assert ended_for(world.place()) is EndReason.FILLED
    assert world.venue.requests[0].type is OrderType.MARKET


@pytest.mark.parametrize(
    ("side", "best", "bound"), [("buy", "60090.1", "60090.0"), ("sell", "59800", "59900")]
)
def test_a_market_beyond_the_bound_gets_no_market_order(side: str, best: str, bound: str) -> None:
    """It has moved away since the permit was given."""
    world = OrderWorld(intent=replace(MARKET, side=Side(side), limit_price=D(bound)))
    world.venue.best = D(best)
    assert ended_for(world.place()) is CheckCode.PRICE_COLLAR
    assert world.venue.requests == []


def test_no_market_order_is_sent_blindly() -> None:
    """Without a quote nobody knows what it would cost."""
    world = OrderWorld(intent=MARKET, no_quote=True)
    assert ended_for(world.place()) is CheckCode.NO_REFERENCE
    assert world.venue.requests == []
