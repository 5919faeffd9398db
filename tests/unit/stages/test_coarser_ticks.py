"""An exchange may make an instrument's tick coarser while a position is held: it is protected at once all the same."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from pipeline.domain.instruments import Instruments
from pipeline.domain.intents import Intent, Leg
from pipeline.domain.signals import Side
from pipeline.testing import btc
from tests.unit.execution.order_worlds import ACCOUNT, intent
from tests.unit.stages.protected_worlds import QTY, RULES, ProtectedWorld
from tests.unit.stages.test_protecting import Stubborn

COARSE = Decimal(7)
"""A tick that neither 59,000 nor 60,000, 61,000 or 62,000 is on."""
LONG = intent()
SHORT = intent(
    side=Side.SELL,
    limit_price=Decimal("59910.0"),
    stop_loss=Decimal("61000.0"),
    take_profit=Decimal("58000.0"),
)


def make_coarse(world: ProtectedWorld) -> None:
    world.market.known = Instruments.of([btc(price_tick=COARSE)])


@pytest.mark.parametrize(
    ("wanted", "stop", "target"), [(LONG, "59003", "61999"), (SHORT, "60998", "58002")], ids=["long", "short"]
)
def test_stop_and_target_move_towards_the_entry(wanted: Intent, stop: str, target: str) -> None:
    """Off the tick neither is permitted. Further away more would be risked than the signal allowed."""
    world = ProtectedWorld(intent=wanted)
    world.buy()
    make_coarse(world)
    assert world.protect()
    assert world.resting == {Leg.STOP: [(QTY, Decimal(stop))], Leg.TARGET: [(QTY, Decimal(target))]}


def test_guards_that_rest_are_replaced_once() -> None:
    """The next stop is placed before the old one is taken away, and then nothing more is to be done."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    make_coarse(world)
    for _ in range(3):
        world.cycle()
        assert world.resting == {Leg.STOP: [(QTY, Decimal(59003))], Leg.TARGET: [(QTY, Decimal(61999))]}
    assert len(world.exit_orders) == 4


def test_a_stop_that_trails_the_market_does_not_go_back_to_a_tick() -> None:
    """Half a tick of a coarse one would be more than its step."""
    world = ProtectedWorld(rules=replace(RULES, trail=Decimal("0.01")))
    world.market.bid = Decimal(60003)
    world.buy()
    world.protect()
    [(_, before)] = world.resting[Leg.STOP]
    make_coarse(world)
    world.cycle()
    [(_, after)] = world.resting[Leg.STOP]
    assert after % COARSE == 0
    assert before < after < before + COARSE


def test_a_position_whose_stop_nobody_takes_is_closed_at_the_market() -> None:
    """Its price is only our bound: on no tick, it is nobody's reason to refuse."""
    world = ProtectedWorld()
    world.venue = Stubborn(world.clock, account=ACCOUNT)
    world.buy()
    make_coarse(world)
    for _ in range(12):
        if world.position.is_open:
            world.cycle()
    assert not world.position.is_open
