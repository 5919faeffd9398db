"""Right after a fill: how often the ledger is asked, what stands in it before a guard leaves, who looks again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pipeline.domain.intents import Leg
from pipeline.domain.orders import Answer, Order, OrderState
from pipeline.domain.permits import Permit
from pipeline.domain.ports import Ledger, Unit
from pipeline.testing import FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT
from tests.unit.stages.protected_worlds import QTY, RULES, STOP, TARGET, WHOLE, ProtectedWorld

TWICE = {Leg.STOP: [(2 * QTY, STOP)], Leg.TARGET: [(2 * QTY, TARGET)]}


@dataclass
class CountingLedger:
    """Says of each transaction what kind it is."""

    ledger: Ledger
    kinds: list[str] = field(default_factory=list)

    def begin(self, *, durable: bool = False) -> AbstractContextManager[Unit]:
        self.kinds.append("durable" if durable else "write")
        return self.ledger.begin(durable=durable)

    def read(self) -> AbstractContextManager[Unit]:
        self.kinds.append("read")
        return self.ledger.read()


@dataclass
class ToldVenue(FakeVenue):
    """Tells of a request before it is answered."""

    told: list[Callable[[Order], None]] = field(default_factory=list)

    def submit(self, order: Order, permit: Permit) -> Answer:
        for each in self.told:
            each(order)
        return super().submit(order, permit)


@dataclass
class ToldWorld(ProtectedWorld):
    """A world whose entry has filled."""

    told: list[Callable[[Order], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.venue = ToldVenue(self.clock, account=ACCOUNT, told=self.told)
        self.buy()

    def protect_counted(self) -> list[str]:
        counting = CountingLedger(self.ledger)
        self.protector(counting).protect(self.intent.symbol)
        return counting.kinds

    def grow(self) -> None:
        """As if another fill of the entry had been booked by somebody else."""
        grown = self.position
        with self.ledger.begin() as unit:
            unit.positions.save(replace(grown, qty=2 * QTY))


def test_a_fill_is_protected_in_three_transactions() -> None:
    """Each of them costs every entry of a busy close; both requests are behind a durable one."""
    world = ToldWorld()
    assert world.protect_counted() == ["durable", "durable", "write"]
    assert world.resting == WHOLE


def test_each_guard_is_claimed_before_its_request_and_no_sooner_than_the_other_rests() -> None:
    """E3: one claim before each send. A target that is claimed with its stop might have been sent by a dead process."""
    world, seen = ToldWorld(), dict[Leg, dict[Leg, OrderState]]()

    def note(order: Order) -> None:
        seen[order.leg] = {each.leg: each.state for each in world.exit_orders}

    world.told.append(note)
    world.protect()
    assert seen[Leg.STOP] == {Leg.STOP: OrderState.SENDING, Leg.TARGET: OrderState.INTENT}
    assert seen[Leg.TARGET] == {Leg.STOP: OrderState.ACKED, Leg.TARGET: OrderState.SENDING}


def test_a_position_that_grew_while_its_guards_were_sent_is_looked_at_again() -> None:
    """Whoever booked the second fill may have found the guards on their way, and left them alone."""
    world = ToldWorld()
    world.told.append(lambda order: world.grow())
    world.protect()
    assert world.resting == TWICE


def test_a_changed_position_has_its_old_guards_taken_back() -> None:
    """The second pair is not the first of its position: what is superfluous shows in another look."""
    world = ToldWorld()
    world.protect()
    world.grow()
    world.protect()
    assert world.resting == TWICE


def test_guards_of_a_position_that_closed_while_they_were_sent_are_taken_back() -> None:
    """They guard nothing any more, and would be in the way of the next position's."""
    world = ToldWorld()

    def close(order: Order) -> None:
        closed = replace(world.position, qty=Decimal(0), closed_at=world.clock.now())
        with world.ledger.begin() as unit:
            unit.positions.save(closed)

    world.told.append(close)
    world.protect()
    assert world.resting == {}


def test_a_look_that_finds_nothing_to_do_waits_for_no_disk() -> None:
    """With a stop that trails the market every position is looked at every two seconds."""
    world = ToldWorld(rules=replace(RULES, trail=Decimal("0.02")))
    world.protect()
    assert world.protect_counted() == ["read"]
