"""The dead-man switch is renewed while an entry rests, and taken back when none does."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from pipeline.domain.intents import Leg, TimeInForce
from pipeline.domain.signals import Side
from pipeline.execution.dead_man import DeadMan
from tests.unit.execution.order_worlds import ACCOUNT, BTC, OrderWorld, intent

RESTING = intent(tif=TimeInForce.GTC, limit_price=Decimal("59000.0"))


def tended(world: OrderWorld) -> DeadMan:
    return DeadMan(world.ledger, world.venue, world.clock, ACCOUNT, 30.0)


def rested() -> OrderWorld:
    """An entry that rests, and whose worker is gone."""
    world = OrderWorld(intent=RESTING)
    world.place_and_die()
    return world


def test_it_does_not_fire_while_somebody_tends_it() -> None:
    """The exchange must not cancel what we still watch."""
    world = rested()
    tending = tended(world)
    for _ in range(12):
        world.pass_time(5)
        tending.tend()
    assert len(world.venue.resting) == 1
    assert world.venue.dead_men[1:] == [(BTC, 30.0)] * 6  # a third of its time apart, after the router's own


def test_it_fires_when_nobody_does() -> None:
    """Killed, cut off, or without power: the order is gone before anybody comes back."""
    world = rested()
    tended(world).tend()
    world.pass_time(30)
    assert world.venue.resting == []


def test_it_is_taken_back_when_nothing_rests_any_more() -> None:
    """A countdown left running would cancel the next thing that somebody places by hand."""
    world = rested()
    tending = tended(world)
    tending.tend()
    world.venue.cancel(world.order)
    world.resolver.resolve(ACCOUNT)
    tending.tend()
    tending.tend()
    assert world.venue.dead_men[-2:] == [(BTC, 30.0), (BTC, 0)]


def test_a_reduction_that_rests_is_not_its_business() -> None:
    """What takes risk away is not cancelled because we are gone."""
    closing = replace(
        RESTING, leg=Leg.CLOSE, side=Side.SELL, reduce_only=True, limit_price=Decimal("61000.0")
    )
    world = OrderWorld(intent=closing)
    world.venue.held_before = Decimal(1)
    world.place_and_die()
    tended(world).tend()
    assert len(world.venue.resting) == 1
    assert world.venue.dead_men == []
