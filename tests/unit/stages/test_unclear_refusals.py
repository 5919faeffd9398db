"""An exchange that takes no stop, and does not say so: with silence, or with a word that is not listed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from pipeline.domain.orders import Answer, Order, OrderReport, Unknown
from pipeline.domain.permits import Permit
from pipeline.testing import FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT, NOON
from tests.unit.stages.protected_worlds import RULES, WHOLE, ProtectedWorld


@dataclass(slots=True)
class Evasive(FakeVenue):
    """Whether it has taken what waits, nobody can tell by its answers: it has not. Counts what it is asked for."""

    asked: int = 0

    def submit(self, order: Order, permit: Permit) -> Answer:
        if order.type.waits:
            return Unknown("HTTP 503: Unknown error, please check your request or try again later.")
        return super(Evasive, self).submit(order, permit)

    def find(self, order: Order) -> OrderReport | None:
        self.asked += 1
        return super(Evasive, self).find(order)


def evaded() -> tuple[ProtectedWorld, Evasive]:
    world = ProtectedWorld()
    venue = Evasive(world.clock, account=ACCOUNT)
    world.venue = venue
    world.buy()
    return world, venue


def test_a_stop_of_unknown_fate_closes_the_position_after_its_patience() -> None:
    """Nobody knows whether it rests: a position that may be bare is closed as soon as one that is."""
    world, _ = evaded()
    for _ in range(20):
        if world.position.is_open:
            world.cycle()
    assert not world.position.is_open
    assert RULES.patience < world.clock.now() - NOON < RULES.patience + timedelta(seconds=6)


def test_a_cycle_asks_about_no_more_stops_the_longer_it_lasts() -> None:
    """Of each leg about the newest: with every one before it the position would cost more, and hold up all others."""
    world, venue = evaded()
    asked = []
    for _ in range(8):
        world.pass_time(2)
        before = venue.asked
        world.protector().cycle()
        asked.append(venue.asked - before)
    assert len(set(asked[1:])) == 1


class SenderGone(BaseException):
    """Like `kill -9`: nothing that the program catches."""


class Deadly(FakeVenue):
    """Whoever sends the first stop does not live to hear the answer, and the request is lost."""

    spares: bool = False

    def submit(self, order: Order, permit: Permit) -> Answer:
        if order.type.waits and not self.spares:
            self.spares = True
            raise SenderGone
        return super().submit(order, permit)


def test_one_stop_of_unknown_fate_closes_nothing_however_long_ago_it_was_sent() -> None:
    """Its sender was killed, and nobody looked for a minute: that is no word of the exchange's."""
    world = ProtectedWorld()
    world.venue = Deadly(world.clock, account=ACCOUNT)
    world.buy()
    with suppress(SenderGone):
        world.protect()
    world.cycle(seconds=60)
    assert world.position.is_open
    assert world.resting == WHOLE
