"""Whoever has orders in line finds what others left without a stop, and deals with it in its turn."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import EventName
from pipeline.stages.bursts import OVER_AFTER_S, Burst
from pipeline.stages.looking_after import LookingAfter
from pipeline.stages.protecting import Urgent
from tests.support.waiting import eventually
from tests.unit.execution.order_worlds import BTC
from tests.unit.stages.protected_worlds import WHOLE, ProtectedWorld

EVERY_S = 1.0


@dataclass
class LookedAfter(ProtectedWorld):
    """A position that somebody has left without its stop, seen by a process on a clock that a test moves."""

    now: float = 1000.0
    within_s: float = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        self.buy()
        self.burst = Burst(self.within_s, lambda: self.now)
        self.looking_after = LookingAfter(
            protector=self.protector(),
            burst=self.burst,
            events=self.events,
            every_s=EVERY_S,
            monotonic=lambda: self.now,
        )

    def place_an_entry(self) -> None:
        with self.burst.entry():
            """Of another symbol."""


def test_a_process_without_orders_deals_with_it_at_once() -> None:
    world = LookedAfter()
    assert world.looking_after.cycle() == [BTC]
    assert world.resting == WHOLE


def test_in_a_burst_it_is_left_to_the_burst() -> None:
    """The entries that wait behind the look are not kept waiting by it."""
    world = LookedAfter()
    world.place_an_entry()
    with world.burst.entry():
        assert world.looking_after.cycle() == []
        assert world.burst.owes == [BTC]
    eventually(lambda: world.resting == WHOLE)


def test_who_wants_every_stop_first_has_it_before_the_next_entry() -> None:
    """`chain.protect_within_s: 0`: nothing is left to anybody, however soon the next entry comes."""
    world = LookedAfter(within_s=0)
    world.place_an_entry()
    with world.burst.entry():
        assert world.looking_after.cycle() == [BTC]
        assert world.resting == WHOLE


def test_whoever_executes_looks_as_often_as_upkeep_does() -> None:
    """Behind many orders the messages of the upkeep expire before anybody reads them."""
    world = LookedAfter()
    world.looking_after.beside_orders()
    assert world.resting == WHOLE
    world.venue.cancel(world.exit_orders[0])
    world.resolver.ask(world.exit_orders[0])
    world.looking_after.beside_orders()
    assert world.resting != WHOLE, "it is not due yet"
    world.now += EVERY_S
    world.looking_after.beside_orders()
    assert world.resting == WHOLE


def test_a_look_that_fails_keeps_no_order_from_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and comes again soon."""
    world = LookedAfter()

    def catch_up(*_: object) -> None:
        raise ExchangeUnavailable("no word")

    monkeypatch.setattr(type(world.looking_after.protector), "catch_up", catch_up)
    world.looking_after.beside_orders()
    told = world.events.of(EventName.UPKEEP_FAILED)
    assert [each["problem"] for each in told] == ["no word"]


def test_protection_that_fails_in_its_turn_is_told_as_a_position_without_its_stop() -> None:
    """No thread of the burst dies of it."""
    world = LookedAfter()
    world.place_an_entry()

    def fail() -> None:
        raise ValueError("of any kind")

    world.looking_after._deal(Urgent(BTC, fail))
    world.now += 2 * OVER_AFTER_S
    eventually(lambda: bool(world.events.of(EventName.UNPROTECTED)))
