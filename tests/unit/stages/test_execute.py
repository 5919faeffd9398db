"""An entry that follows another is only sent; it is booked, protected and concluded behind those that follow it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Delivery, End, Stage
from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.ids import task_id
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order, OrderState, Trade
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Permit
from pipeline.execution.router import OrderRouter
from pipeline.stages.bursts import Burst
from pipeline.stages.execute import Execute
from pipeline.stages.running import Runner
from pipeline.testing import Accident, FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT, BTC, NOON
from tests.unit.stages.protected_worlds import WHOLE, ProtectedWorld


class Asked(FakeVenue):
    """Counts how often somebody asks for trades."""

    questions = 0

    def trades(self, order: Order) -> Sequence[Trade]:
        self.questions += 1
        return super().trades(order)


@dataclass
class BurstWorld(ProtectedWorld):
    """One process that executes. Time stands still in its burst: nothing comes back to what waits by itself."""

    full_disk: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked = Asked(self.clock, account=ACCOUNT)
        self.venue = self.asked
        self.burst = Burst(0.6, lambda: 1000.0)
        with self.ledger.begin() as unit:
            unit.stages.add(replace(self._evaluated(), stage=Stage.VALIDATE, output={}))

    def execute(
        self, *, follows: bool = True, router: OrderRouter | None = None, burst: Burst | None = None
    ) -> None:
        """As its message has it done, right behind another entry or alone. `burst`: another process's."""
        router, burst = router or self.router, burst or self.burst
        if follows:
            with burst.entry():
                """Another entry was placed."""
        stage = Execute(self.ledger, router, burst, self._protect, self._nothing, self._nothing)
        runner = Runner(self.ledger, self.clock, self.events, ACCOUNT, {Stage.EXECUTE: stage}, 3)
        delivery = Delivery(
            task_id=task_id(self.decision.decision_id, Stage.EXECUTE),
            host="host",
            worker="orders@host",
            pid=4711,
            attempt=1,
            received_at=NOON,
            published_at=NOON,
        )
        runner.run(Stage.EXECUTE, self.decision.decision_id, delivery)

    def _protect(self, symbol: str) -> None:
        if self.full_disk:
            raise LedgerUnavailable("no space left on the disk")
        self.protector().protect(symbol)

    def _nothing(self) -> None:
        """What else is done around an entry."""

    @property
    def reason(self) -> object:
        """What the decision ended with; None while it is open."""
        with self.ledger.read() as unit:
            found = unit.decisions.get(self.decision.decision_id)
        assert found is not None
        return found.reason


@pytest.fixture
def world() -> Iterator[BurstWorld]:
    """Nothing of its burst goes on when the test is over."""
    world = BurstWorld()
    yield world
    world.burst.finish()


def test_an_entry_that_comes_alone_is_booked_protected_and_concluded_at_once(world: BurstWorld) -> None:
    """Nobody waits behind it."""
    world.execute(follows=False)
    assert (world.state, world.resting, world.reason) == (OrderState.FILLED, WHOLE, EndReason.FILLED)


@pytest.mark.parametrize("sent", [OrderState.SENDING, OrderState.FILLED])
def test_who_may_not_send_does_not_end_what_another_delivery_has_sent_meanwhile(
    world: BurstWorld, sent: OrderState
) -> None:
    """Two hosts have the message. One has seen no order yet, and its clock is wrong; just then the other one sends."""

    other = Burst(0.6, lambda: 1000.0)

    def doubt(intent: Intent, permit: Permit) -> End:
        if sent is OrderState.SENDING:
            world.execute(burst=other)
        else:  # and is killed before it concludes
            world.router.place(world.decision, intent, permit)
        return End(CheckCode.CLOCK_SKEW, "this clock is wrong; nothing was sent")

    world.execute(follows=False, router=replace(world.router, clock_problem=doubt))
    assert (world.state, world.reason) == (sent, EndReason.FILLED if sent.is_final else None)
    other.finish()
    assert (world.state, world.reason) == (OrderState.FILLED, EndReason.FILLED)


def test_who_may_not_send_ends_what_nobody_has_sent(world: BurstWorld) -> None:
    """And says why."""

    def doubt(intent: Intent, permit: Permit) -> End:
        return End(CheckCode.CLOCK_SKEW, "this clock is wrong; nothing was sent")

    world.execute(follows=False, router=replace(world.router, clock_problem=doubt))
    assert (world.venue.requests, world.reason) == ([], CheckCode.CLOCK_SKEW)


def test_of_an_entry_that_follows_another_the_exchange_hears_the_order_and_nothing_else(
    world: BurstWorld,
) -> None:
    """The next one of many waits for nothing but that. What it may have filled counts whole meanwhile."""
    world.execute()
    assert len(world.venue.requests) == 1
    assert world.asked.questions == 0
    assert (world.state, world.resting, world.reason) == (OrderState.SENDING, {}, None)
    assert world.burst.owes == [BTC]


def test_what_was_left_is_booked_protected_and_concluded_as_ever(world: BurstWorld) -> None:
    """By the same words in the ledger; the answer came when it came."""
    world.execute()
    world.pass_time(0.5)
    world.burst.finish()
    assert (world.state, world.resting, world.reason) == (OrderState.FILLED, WHOLE, EndReason.FILLED)
    order = world.order
    with world.ledger.read() as unit:
        steps = {step["to"]: step["at"] for step in unit.orders.steps_of(order.client_order_id)}
        recorded = unit.stages.get(world.decision.decision_id, Stage.EXECUTE)
    assert steps[OrderState.FILLED] == NOON
    assert recorded is not None
    assert recorded.output["state"] == "FILLED"
    [told] = world.events.of(EventName.STAGE_END)
    assert "other entries" in cast("dict[str, float]", told["parts"])


@pytest.mark.parametrize("accident", [Accident.REFUSED, Accident.LOST_ANSWER, Accident.LOST_REQUEST])
def test_an_answer_that_is_no_whole_fill_leaves_nothing_for_later(
    world: BurstWorld, accident: Accident
) -> None:
    """What may be tried again, or asked about, is so while its permit lives."""
    world.venue.accidents = [accident]
    world.execute()
    assert world.burst.owes == []
    assert world.state is not OrderState.SENDING


def test_what_a_killed_process_has_left_is_booked_and_protected_by_the_next_cycle(world: BurstWorld) -> None:
    """The answer is lost with it; the exchange's positions tell, and nobody waits for the sender."""
    world.execute()
    cycle = replace(world.protector(), left_for=timedelta(seconds=0.6))
    assert cycle.cycle() == [], "it is young, and its sender may live"
    world.pass_time(0.6)
    assert cycle.cycle() == [BTC]
    assert (world.filled, world.resting) == (world.held, WHOLE)


def test_a_second_delivery_meanwhile_sends_nothing_and_ends_nothing(world: BurstWorld) -> None:
    """Its message may come twice, and the first one has the answer in its hands."""
    world.execute()
    world.execute()
    assert len(world.venue.requests) == 1
    assert world.reason is None


def test_what_cannot_be_done_now_is_told_and_left_to_upkeep(world: BurstWorld) -> None:
    """No message brings it again, and whoever comes back to one entry has others to come back to."""
    world.full_disk = True
    world.execute()
    world.burst.finish()
    told = world.events.of(EventName.UPKEEP_FAILED)
    assert [(each["what"], each["problem"]) for each in told] == [
        ("the rest of execute", "LedgerUnavailable: no space left on the disk")
    ]
    assert world.reason is None
