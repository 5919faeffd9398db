"""A stop that waits for days on the simulated exchange, ends without a trade, and is told by nobody any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.domain.decisions import Mode
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.orders import Acknowledged, Order, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.signals import Side
from pipeline.exchange.ccxt_adapter import ExchangeOptions, connect
from pipeline.exchange.wire import WireOptions
from pipeline.execution.booking import Bookkeeper
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.resolver import Resolver
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.trace.events import RecordedEvents
from tests.integration.exchange_worlds import SIM_KEY, SIM_SECRET, Exchange, a_decision, as_order
from tests.support.servers import Simulator


@dataclass
class MovedClock:
    """Ours, moved on together with the simulated exchange's."""

    server: Simulator
    by: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def advance(self, by: timedelta) -> None:
        self.server.control("POST", "/_sim/clock", {"advance_s": by.total_seconds()})
        self.by += by


@dataclass
class Desk:
    """A position with a stop far below the market, in the ledger as on the exchange."""

    clock: MovedClock
    ledger: SqlLedger = field(default_factory=memory_ledger)

    def __post_init__(self) -> None:
        wire = WireOptions(api_key=SIM_KEY, api_secret=SIM_SECRET, base_url=self.clock.server.url)
        self.venue = connect(ExchangeOptions(account="test", mode=Mode.PAPER, wire=wire), self.clock)
        self.exchange = Exchange(self.venue, self.venue, self.clock)
        self.resolver = Resolver(self.ledger, self.venue, self.clock, ExecutionOptions(), RecordedEvents())
        entry = self.exchange.intent()
        self.place(entry)
        self.stop = self.place(self.stop_of(entry))

    def stop_of(self, entry: Intent) -> Intent:
        level = self.exchange.instrument.round_price_down(entry.decision_price / 4)
        return replace(
            entry,
            leg=Leg.STOP,
            side=Side.SELL,
            type=OrderType.STOP_MARKET,
            tif=TimeInForce.GTC,
            limit_price=level,
            decision_price=level,
            reduce_only=True,
        )

    def place(self, wanted: Intent) -> Order:
        """As the router does, down to the end of its decision."""
        now = self.clock.now()
        decision = a_decision(now)
        order, permit = as_order(wanted, decision, now)
        order = replace(order, sent_at=None)
        with self.ledger.begin() as unit:
            unit.decisions.open(decision)
            unit.permits.add(permit)
            unit.orders.add(order)
            sending = unit.orders.step(order, OrderState.SENDING, now, fence="ours")
        assert sending is not None
        answer = self.venue.submit(sending, permit)
        assert isinstance(answer, Acknowledged)
        settled = Bookkeeper(self.ledger, self.venue, self.clock, RecordedEvents()).settle(
            sending, answer.report
        )
        with self.ledger.begin() as unit:
            unit.decisions.end(decision.decision_id, EndReason.FILLED, "", self.clock.now())
        return settled

    def ask(self) -> Order:
        """Half a minute later."""
        self.clock.advance(timedelta(seconds=30))
        with self.ledger.read() as unit:
            order = unit.orders.get(self.stop.client_order_id)
        assert order is not None
        return self.resolver.ask(order)


@pytest.fixture
def desk() -> Iterator[Desk]:
    server = Simulator("--seed", "7", "--symbols", "BTCUSDT")
    yield Desk(MovedClock(server))
    server.stop()


@pytest.mark.parametrize("days", [4, 20])
def test_a_stop_of_days_ago_that_was_taken_away_expires_once_its_absence_is_proven(
    desk: Desk, days: int
) -> None:
    """By hand, say, or by the exchange itself. No list tells the life of one that is older than a week."""
    desk.clock.advance(timedelta(days=days))
    assert desk.ask().waits
    desk.venue.cancel(desk.stop)
    states = [desk.ask().state for _ in range(3)]
    assert states == [OrderState.UNKNOWN, OrderState.UNKNOWN, OrderState.EXPIRED]


def test_a_stop_of_days_ago_that_we_take_back_is_cancelled(desk: Desk) -> None:
    """The exchange says so, and nothing more."""
    desk.clock.advance(timedelta(days=4))
    is_cancelled = desk.venue.cancel(desk.stop)
    assert desk.venue.find(desk.stop) is None
    assert desk.resolver.ask(desk.stop, is_cancelled=is_cancelled).state is OrderState.CANCELED
