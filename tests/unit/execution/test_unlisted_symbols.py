"""A symbol that the exchange lists no more: whatever concerns it is named, and nothing else is hidden behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from pipeline.domain.errors import UnknownSymbol
from pipeline.domain.events import EventName
from pipeline.domain.intents import TimeInForce
from pipeline.domain.orders import ListedOrder, Order, OrderReport, OrderState, Trade
from pipeline.domain.positions import Holding
from pipeline.domain.reconciliation import Finding, Remedy
from pipeline.domain.switches import KillScope, KillSwitch
from pipeline.execution.cancelling import cancel_covered
from pipeline.execution.dead_man import DeadMan
from pipeline.execution.reconciling import PATIENCE, Reconciler
from pipeline.testing import Accident, FakeVenue
from tests.unit.execution.order_worlds import (
    ACCOUNT,
    NOON,
    OrderWorld,
    WorkerGone,
    decision,
    intent,
)

ADA, ETH, SOL = "ADA/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"
RESTING = intent(tif=TimeInForce.GTC, limit_price=Decimal("59000.0"))


class Delisting(FakeVenue):
    """Some symbols are not listed any more: nothing can be asked about them. What somebody holds there shows."""

    unlisted: Collection[str] = ()
    by_hand: Sequence[Holding] = ()

    def holdings(self) -> Sequence[Holding]:
        return [*super().holdings(), *self.by_hand]

    def find(self, order: Order) -> OrderReport | None:
        self._mind(order.symbol)
        return super().find(order)

    def cancel(self, order: Order) -> bool:
        self._mind(order.symbol)
        return super().cancel(order)

    def dead_man(self, symbol: str, after_s: float) -> None:
        self._mind(symbol)
        super().dead_man(symbol, after_s)

    def trades_since(self, symbol: str, since: datetime) -> Sequence[Trade]:
        self._mind(symbol)
        return super().trades_since(symbol, since)

    def orders_since(self, symbol: str, since: datetime) -> Sequence[ListedOrder]:
        self._mind(symbol)
        return super().orders_since(symbol, since)

    def _mind(self, symbol: str) -> None:
        if symbol in self.unlisted:
            raise UnknownSymbol(symbol)


@dataclass
class DelistedWorld(OrderWorld):
    """Orders on several symbols, one after the other; their workers are killed at the first wait."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.venue: Delisting = Delisting(self.clock, account=ACCOUNT)

    def place_on(self, *symbols: str) -> None:
        for symbol in symbols:
            wanted, of = replace(self.intent, symbol=symbol), decision("unlisted", symbol)
            with contextlib.suppress(WorkerGone):
                replace(self.router, pause=_die).place(of, wanted, self.permitted(of, wanted))
            self.pass_time(0.01)

    @property
    def under_way(self) -> Sequence[Order]:
        with self.ledger.read() as unit:
            return unit.orders.under_way(ACCOUNT)

    def reconcile(self) -> Sequence[Finding]:
        return Reconciler(self.ledger, self.venue, self.clock, self.events, ACCOUNT).run()

    def named(self, event: EventName) -> list[object]:
        """The symbols of events that tell of an unlisted one."""
        told = self.events.of(event)
        return [each["symbol"] for each in told if "is not traded" in str(each["problem"])]


def _die(seconds: float) -> None:
    raise WorkerGone


def test_the_fate_of_every_other_order_is_learnt() -> None:
    """Nobody was asked about those, so they say nothing of the exchange, however many they are."""
    world = DelistedWorld()
    world.venue.accidents, world.venue.hidden_for = [Accident.LOST_ANSWER] * 3, timedelta(seconds=1)
    world.place_on(ADA, ETH, SOL)
    world.pass_time(1)
    world.venue.unlisted = [ADA, ETH]
    assert [each.symbol for each in world.resolver.resolve(ACCOUNT)] == [SOL]
    assert world.named(EventName.ORDER_UNKNOWN) == [ADA, ETH]


def test_every_other_order_under_a_kill_switch_is_cancelled() -> None:
    """The one that cannot be is told to whoever pulls the switch."""
    world = DelistedWorld(intent=RESTING)
    world.place_on(ADA, ETH)
    world.venue.unlisted = [ADA]
    with world.ledger.begin() as unit:
        unit.switches.set(
            KillSwitch(scope=KillScope.GLOBAL, name="", reason="drill", set_by="anna", set_at=NOON)
        )
    cancelled = cancel_covered(world.ledger, world.venue, ACCOUNT, world.events)
    assert [each.symbol for each in cancelled.taken] == [ETH]
    assert [each.symbol for each in cancelled.left] == world.named(EventName.ORDER_CANCEL) == [ADA]


def test_every_other_dead_man_switch_is_renewed() -> None:
    """One that fires would take back an entry that is watched."""
    world = DelistedWorld(intent=RESTING)
    world.place_on(ADA, ETH)
    world.venue.unlisted = [ADA]
    world.venue.dead_men.clear()
    with pytest.raises(UnknownSymbol, match=ADA):
        DeadMan(world.ledger, world.venue, world.clock, ACCOUNT, 30.0).tend()
    assert world.venue.dead_men == [(ETH, 30.0)]


def test_a_position_on_it_is_named_and_every_other_difference_repaired() -> None:
    """Somebody holds what expires by hand: its trades cannot be asked for, and the comparison is told all the same."""
    world = DelistedWorld()
    world.venue.accidents, world.venue.late_by = [Accident.LATE], timedelta(minutes=5)
    world.place_on(ETH)
    world.resolve_until(lambda: not world.under_way)
    world.pass_time(300)
    world.venue.unlisted = [ADA]
    world.venue.by_hand = [Holding(symbol=ADA, qty=Decimal(1), entry_price=Decimal(1))]
    found = world.reconcile()
    assert [(each.symbol, each.remedy) for each in found] == [(ETH, Remedy.BOOKED), (ADA, Remedy.ESCALATED)]


def test_an_acknowledged_order_on_it_is_named_and_every_other_looked_into() -> None:
    """Its trades were never listed, and never will be."""
    world = DelistedWorld()
    world.venue.trades_late_by = timedelta(days=1)
    world.place_on(ADA, ETH)
    world.pass_time(PATIENCE.total_seconds() + 1)
    world.venue.unlisted = [ADA]
    found = world.reconcile()
    assert [(each.symbol, each.remedy) for each in found] == [(ADA, Remedy.ESCALATED), (ETH, Remedy.BOOKED)]
    assert "nobody can be asked" in found[0].what


def test_an_open_order_on_it_that_has_ended_in_the_ledger_is_named_and_no_other_hidden() -> None:
    """Nobody can ask whether it has ended since the list was made."""
    world = DelistedWorld(intent=RESTING)
    world.place_on(ADA, ETH)
    with world.ledger.begin() as unit:
        for each in unit.orders.under_way(ACCOUNT):
            unit.orders.step(each, OrderState.CANCELED, world.clock.now())
    world.venue.unlisted = [ADA]
    assert [each.symbol for each in world.reconcile()] == [ADA, ETH]
