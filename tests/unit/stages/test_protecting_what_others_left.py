"""A cycle protects what others have filled and left, and leaves for a moment what they are still about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.errors import ExchangeUnavailable, UnknownSymbol
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.instruments import Instruments
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Answer, Order, OrderReport
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Permit
from pipeline.domain.positions import Holding
from pipeline.stages.protecting import Urgent
from pipeline.testing import Accident, FakeVenue
from pipeline.testing.market import btc
from tests.unit.execution.order_worlds import ACCOUNT, BTC, intent
from tests.unit.stages.protected_worlds import WHOLE, ProtectedWorld, another


class SenderGone(BaseException):
    """Like `kill -9`: nothing that the program catches."""


class Deadly(FakeVenue):
    """Whoever sends an entry does not live to hear the answer, but for these symbols."""

    spared: Collection[str] = ()

    def submit(self, order: Order, permit: Permit) -> Answer:
        answer = super().submit(order, permit)
        if order.leg is Leg.ENTRY and order.symbol not in self.spared:
            raise SenderGone
        return answer


def test_the_next_cycle_protects_what_only_the_exchange_knows_to_be_filled() -> None:
    """Its sender was killed with the answer in its hands: the exchange's positions tell, nobody waits for it."""
    world = ProtectedWorld()
    world.venue = Deadly(world.clock, account=ACCOUNT)
    with suppress(SenderGone):
        world.place()
    assert world.protector().cycle() == [BTC]
    assert world.resting == WHOLE
    assert len(world.venue.requests) == 3


def test_who_executes_protects_what_others_left_and_asks_for_no_list_of_orders() -> None:
    """Behind many orders no message of the upkeep is read in time; the lists are for quieter moments."""

    class Unlisted(Deadly):
        def waiting(self, symbols: Collection[str]) -> frozenset[ClientOrderId]:
            raise AssertionError("nobody needs it now")

    world = ProtectedWorld()
    world.venue = Unlisted(world.clock, account=ACCOUNT)
    with suppress(SenderGone):
        world.place()
    world.protector().catch_up()
    assert [(each.leg, each.waits) for each in world.exit_orders] == [(Leg.STOP, True), (Leg.TARGET, True)]


def test_what_is_urgent_can_be_left_to_somebody_who_does_it_later() -> None:
    """In a burst the next entry is in line: the look finds what is to be done, and does none of it."""
    world = two_left_behind()
    left: list[Urgent] = []
    assert world.protector().cycle(left.append) == []
    assert sorted(each.symbol for each in left) == sorted(LEFT)
    assert protected(world) == set()
    for each in left:
        each.deal()
    assert protected(world) == set(LEFT)


def test_what_was_left_and_is_done_meanwhile_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own sender may have come to it: the exchange is asked nothing, and nobody waits for the ledger's lock."""
    world = two_left_behind()
    left: list[Urgent] = []
    world.protector().catch_up(left.append)
    world.protector().cycle()

    def unneeded(*_: object, **__: object) -> None:
        raise AssertionError("it is done")

    monkeypatch.setattr(type(world.venue), "find", unneeded)
    booked, unbooked = sorted(left, key=lambda each: each.symbol)
    unbooked.deal()
    monkeypatch.setattr(type(world.ledger), "begin", unneeded)
    booked.deal()


LEFT = BOOKED, UNBOOKED = "B/USDT:USDT", "U/USDT:USDT"


def two_left_behind() -> ProtectedWorld:
    """A position that is booked and has no stop, and a fill that nobody has booked: its sender was killed."""
    world = ProtectedWorld()
    world.market.known = Instruments.of([replace(btc(), symbol=each) for each in LEFT])
    venue = world.venue = Deadly(world.clock, account=ACCOUNT)
    venue.spared = [BOOKED]
    for symbol in LEFT:
        with suppress(SenderGone):
            place(world, symbol)
    return world


def place(world: ProtectedWorld, symbol: str) -> None:
    """A decision on this symbol, down to its fill and its end."""
    other, wanted = replace(another(symbol), symbol=symbol), intent(symbol=symbol)
    world.router.place(other, wanted, world.permitted(other, wanted))
    with world.ledger.begin() as unit:
        unit.decisions.end(other.decision_id, EndReason.FILLED, "", world.clock.now())


def protected(world: ProtectedWorld) -> set[str]:
    """The symbols whose stop rests on the exchange."""
    with world.ledger.read() as unit:
        return {each.symbol for each in unit.orders.briefs(ACCOUNT) if each.waits and each.leg is Leg.STOP}


def test_a_symbol_that_is_listed_no_more_keeps_no_other_from_its_stop() -> None:
    """Nothing can be ordered on it; that is told once the others have theirs."""
    world = ProtectedWorld()
    place(world, "ETH/USDT:USDT")
    world.buy()
    with pytest.raises(UnknownSymbol, match="ETH/USDT:USDT"):
        world.protector().cycle()
    assert world.resting == WHOLE


def test_a_position_that_nobody_tells_of_keeps_no_other_from_its_stop() -> None:
    """The exchange's list of positions is one question more that a bad day may leave without an answer."""

    class Mute(FakeVenue):
        def holdings(self) -> Sequence[Holding]:
            raise ExchangeUnavailable("no word")

    world = ProtectedWorld()
    world.venue = Mute(world.clock, account=ACCOUNT)
    world.buy()
    world.venue.accidents = [Accident.LOST_REQUEST]
    place(world, "ETH/USDT:USDT")
    with pytest.raises(ExchangeUnavailable):
        world.protector().cycle()
    assert world.resting == WHOLE


def test_a_guard_that_cannot_be_asked_about_keeps_no_other_gone_one_from_being_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exchange holds the stop of neither any more; what became of one is told, and the position has another."""
    world = ProtectedWorld()
    eth = "ETH/USDT:USDT"
    world.market.known = Instruments.of([btc(), replace(btc(), symbol=eth)])
    place(world, eth)
    world.buy()
    world.cycle()
    for stop in stops(world):
        world.venue.cancel(stop)

    def find(self: FakeVenue, order: Order) -> OrderReport | None:
        if order.symbol == first:
            raise UnknownSymbol(first)
        return answer(self, order)

    first, answer = stops(world)[0].symbol, FakeVenue.find
    monkeypatch.setattr(FakeVenue, "find", find)
    with pytest.raises(UnknownSymbol, match=first):
        world.protector().cycle()
    (other,) = {BTC, eth} - {first}
    assert [each.symbol for each in stops(world) if each.client_order_id in world.venue.waiting([other])] == [
        other
    ]


def stops(world: ProtectedWorld) -> Sequence[Order]:
    """Those that wait, by the ledger, in the order in which they are asked about."""
    with world.ledger.read() as unit:
        found = [unit.orders.get(each.client_order_id) for each in unit.orders.briefs(ACCOUNT)]
    return [each for each in found if each is not None and each.waits and each.leg is Leg.STOP]


def test_a_new_position_is_left_for_a_while_to_whoever_filled_it() -> None:
    """Its guards come behind the entries that follow it: a cycle that came in between would undo that."""
    world = ProtectedWorld()
    world.buy()
    protector = replace(world.protector(), left_for=timedelta(seconds=1))
    assert protector.cycle() == []
    protector.catch_up()
    assert world.resting == {}
    world.clock.turn(timedelta(seconds=1))
    assert protector.cycle() == [BTC]
    assert world.resting == WHOLE


def test_a_position_of_the_future_is_left_to_nobody() -> None:
    """The exchange's clock may be ahead of ours: nobody knows how young it is."""
    world = ProtectedWorld()
    world.buy()
    world.clock.turn(timedelta(seconds=-1))
    assert replace(world.protector(), left_for=timedelta(seconds=5)).cycle() == [BTC]
