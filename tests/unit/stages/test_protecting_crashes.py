"""Killed anywhere between an entry's fill and the end of its exits' decisions: the stop is there soon."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest

from pipeline.domain.intents import Leg
from pipeline.execution import protection
from pipeline.testing import Accident
from tests.unit.execution.order_worlds import ACCOUNT, BTC
from tests.unit.execution.test_crashes import FragileLedger, FragileVenue, Killed, Points
from tests.unit.stages.protected_worlds import WHOLE, ProtectedWorld

EVERY_POINT = 60
"""More than one protection passes."""

ANSWERS_WITHIN_S = protection.ANSWERS_WITHIN.total_seconds()


@dataclass
class CrashingWorld(ProtectedWorld):
    """A world whose protector can be killed at every call of a port."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.point = Points()
        self.venue = FragileVenue(self.clock, account=ACCOUNT)
        self.venue.point, self.venue.frozen_for = self.point, []

    def protect_until_killed(self, at: int) -> bool:
        """Whether it was."""
        self.point.left = at
        try:
            self.protector(FragileLedger(self.ledger, self.point)).protect(BTC)
        except Killed:
            return True
        finally:
            self.point.left = None
        return False

    def settle(self) -> None:
        """Long enough for every unknown order to be proven absent."""
        for _ in range(8):
            self.cycle(seconds=12)

    def recover(self) -> float:
        """Run upkeep until the position is protected; how many seconds that took."""
        started = self.clock.now()
        while Leg.STOP not in self.resting:
            self.cycle()
            passed = (self.clock.now() - started).total_seconds()
            assert passed < 60, "the position stays without its stop"
        return (self.clock.now() - started).total_seconds()


@pytest.mark.parametrize("accident", [Accident.NONE, Accident.LOST_ANSWER, Accident.LOST_REQUEST])
def test_wherever_it_is_killed_the_stop_is_there_soon(accident: Accident) -> None:
    """E4: a position found without its stop is mended; nothing is sent twice under one name, every exit ends."""
    for at in range(EVERY_POINT):
        world = CrashingWorld()
        world.buy()
        world.venue.accidents = [accident]
        if not world.protect_until_killed(at):
            break
        assert world.recover() <= ANSWERS_WITHIN_S + 4
        world.settle()
        assert world.resting == WHOLE
        assert all(each.ended_at is not None for each in world.exits)
        names = [order.client_order_id for order in world.venue.accepted]
        assert len(set(names)) == len(names)
    else:
        pytest.fail("there are more points than were tried")


def test_wherever_it_is_killed_the_position_is_closed_once() -> None:
    """The market is beyond the stop: closing at once survives a kill as well."""
    for at in range(EVERY_POINT):
        world = CrashingWorld()
        world.buy()
        world.venue.move(Decimal(58000))
        if not world.protect_until_killed(at):
            break
        world.settle()
        assert (world.on_exchange(), world.position.is_open) == (Decimal(0), False)
        assert world.resting == {}
    else:
        pytest.fail("there are more points than were tried")
