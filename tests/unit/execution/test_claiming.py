"""An entry that nobody is asked about is written down and claimed in one durable unit: both or neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.errors import LedgerUnavailable, UnknownDecision
from pipeline.domain.events import EventName
from pipeline.domain.intents import OrderType, TimeInForce
from pipeline.domain.orders import Answer, Order, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Permit, PermitState
from pipeline.domain.ports import Unit
from pipeline.domain.switches import TradingState
from pipeline.execution.job import Found, Job
from pipeline.execution.outcome import Ending
from pipeline.testing import FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT, NOON, OrderWorld, decision, ended_for, intent

NOTHING_FOUND = Found((), ())
"""What a delivery has seen that looked just before another one wrote the order down."""


@dataclass
class Watched:
    """The world's ledger; after each writing unit it notes how the orders stand that anybody can see now."""

    world: OrderWorld
    seen: list[tuple[bool, list[OrderState]]] = field(default_factory=list)

    def begin(self, *, durable: bool = False) -> AbstractContextManager[Unit]:
        return self._begin(durable)

    @contextmanager
    def _begin(self, durable: bool) -> Iterator[Unit]:
        with self.world.ledger.begin(durable=durable) as unit:
            yield unit
        self.seen.append((durable, [order.state for order in self.world.orders]))

    def read(self) -> AbstractContextManager[Unit]:
        return self.world.ledger.read()


def watched(world: OrderWorld, found: Found | None = None) -> tuple[Ending, Watched]:
    """Place its order, and what could be seen meanwhile."""
    ledger = Watched(world)
    router = replace(world.router, ledger=ledger)
    return router.place(world.decision, world.intent, world.permit, found), ledger


def permit_of(world: OrderWorld) -> PermitState:
    with world.ledger.read() as unit:
        permit = unit.permits.of(world.decision.decision_id)
    assert permit is not None
    return permit.state


def steps_of(world: OrderWorld) -> list[tuple[object, object]]:
    order = world.order
    with world.ledger.read() as unit:
        return [(step["from"], step["to"]) for step in unit.orders.steps_of(order.client_order_id)]


def halt(world: OrderWorld) -> None:
    with world.ledger.begin() as unit:
        unit.switches.set_trading_state(ACCOUNT, TradingState.HALTED, by="me", reason="test", at=NOON)


def test_nobody_ever_sees_an_immediate_entry_that_is_not_claimed() -> None:
    """One wait for the ledger's lock less before the request; both steps still stand in its history."""
    world = OrderWorld()
    ending, ledger = watched(world)
    assert ended_for(ending) is EndReason.FILLED
    assert ledger.seen == [(True, [OrderState.SENDING]), (False, [OrderState.FILLED])]
    assert steps_of(world) == [
        (OrderState.INTENT, OrderState.SENDING),
        (OrderState.SENDING, OrderState.FILLED),
    ]
    assert permit_of(world) is PermitState.USED


@pytest.mark.parametrize(
    ("kind", "tif"), [(OrderType.MARKET, TimeInForce.IOC), (OrderType.LIMIT, TimeInForce.GTC)]
)
def test_what_somebody_is_asked_about_before_it_leaves_is_written_down_first(
    kind: OrderType, tif: TimeInForce
) -> None:
    """No question to the exchange is asked inside a unit, and none before the ledger knows of the order."""
    world = OrderWorld(intent=intent(type=kind, tif=tif))
    _, ledger = watched(world)
    assert ledger.seen[:2] == [(False, [OrderState.INTENT]), (True, [OrderState.SENDING])]


def test_what_another_account_has_written_down_is_not_claimed() -> None:
    """The last question before it leaves, in the unit that lets it leave."""
    world = OrderWorld()
    order, job = world.intend(), Job(world.decision, world.intent, world.permit)
    router = replace(world.router, venue=FakeVenue(world.clock, account="other"))
    with pytest.raises(UnknownDecision), world.ledger.begin(durable=True) as unit:
        router.claim_intended(unit, job, order)
    assert (world.state, permit_of(world)) == (OrderState.INTENT, PermitState.ISSUED)


@pytest.mark.parametrize("before", [OrderWorld.place, OrderWorld.intend])
def test_nothing_is_claimed_when_another_delivery_has_written_the_order(
    before: Callable[[OrderWorld], object],
) -> None:
    """Both have looked and found nothing: whoever writes it down first has it, sent or not."""
    world = OrderWorld()
    before(world)
    sent, state, steps = len(world.venue.requests), world.state, steps_of(world)
    told = len(world.events.of(EventName.BUY_ORDER))
    _, ledger = watched(world, NOTHING_FOUND)
    assert ledger.seen[0] == (True, [state])
    assert (len(world.venue.requests), steps_of(world)) == (sent, steps)
    assert len(world.events.of(EventName.BUY_ORDER)) == told


def test_a_second_delivery_that_has_seen_nothing_reports_how_the_first_ended() -> None:
    """It must not call failed what the other has filled."""
    world = OrderWorld()
    first = world.place()
    assert watched(world, NOTHING_FOUND)[0] == first


def test_what_must_not_be_sent_is_written_and_abandoned_at_once() -> None:
    """Its end stands in the ledger with its reason, and its permit holds nothing back."""
    world = OrderWorld()
    halt(world)
    ending, ledger = watched(world)
    assert ended_for(ending) is CheckCode.HALTED
    assert ledger.seen == [(True, [OrderState.ABANDONED])]
    assert steps_of(world) == [(OrderState.INTENT, OrderState.ABANDONED)]
    assert permit_of(world) is PermitState.RELEASED
    assert len(world.events.of(EventName.BUY_ORDER)) == 1


def test_a_ledger_that_fails_at_the_claim_leaves_nothing_and_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message comes again and finds the permit unused."""
    world = OrderWorld()

    def unavailable(*_: object) -> bool:
        raise LedgerUnavailable("no answer")

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.ledger.permits.SqlPermits.use", unavailable)
        with pytest.raises(LedgerUnavailable):
            world.place()
    assert (world.orders, permit_of(world)) == ([], PermitState.ISSUED)
    assert world.events.of(EventName.BUY_ORDER) == []
    assert ended_for(world.place()) is EndReason.FILLED


def test_an_unknown_decision_leaves_nothing_and_tells_nothing() -> None:
    """A message from another installation."""
    world = OrderWorld()
    stranger = decision("stranger")
    permit = replace(world.permit, terms=replace(world.permit.terms, decision_id=stranger.decision_id))
    router = replace(world.router, permit_problem=lambda *_: None)
    with pytest.raises(UnknownDecision):
        router.place(stranger, world.intent, permit)
    with world.ledger.read() as unit:
        assert unit.orders.of(stranger.decision_id) == []
    assert world.events.of(EventName.BUY_ORDER) == []


def test_the_order_is_told_before_the_request_and_after_the_ledger_holds_it() -> None:
    """Whoever reads the log finds no order in it that the ledger has not."""
    world = OrderWorld()
    told: list[tuple[int, OrderState]] = []

    class Looking(FakeVenue):
        def submit(self, order: Order, permit: Permit) -> Answer:
            told.append((len(world.events.of(EventName.BUY_ORDER)), world.state))
            return FakeVenue.submit(self, order, permit)

    world.venue = Looking(world.clock, account=ACCOUNT)
    world.place()
    assert told == [(1, OrderState.SENDING)]
