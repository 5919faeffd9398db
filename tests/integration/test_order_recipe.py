"""The whole recipe over real HTTP, with the exchange misbehaving: at most one order, and its fate is
learnt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import pytest

from pipeline.domain.decisions import Decision, End, Unresolved
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.switches import TradingState
from pipeline.domain.timeframes import SystemClock
from pipeline.exchange.ccxt_adapter import CcxtExchange
from pipeline.execution.accounts import compare_positions
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.outcome import Ending
from pipeline.execution.resolver import Resolver
from pipeline.execution.router import OrderRouter
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.trace.events import RecordedEvents
from tests.integration.exchange_worlds import BTC, Exchange, Rehearsal, a_decision, as_order
from tests.support.servers import Simulator
from tests.support.waiting import eventually

# The times of the recipe, short enough for a test; their order is the real one.
QUICK = ExecutionOptions(
    receive_window_ms=1000, not_placed_margin_s=1.5, sending_stale_s=0.5, retry_backoff_ms=10, max_attempts=3
)


def permitted(permit: Permit, terms: OrderTerms, now: datetime) -> End | None:
    """The governor's own check has its own tests; here only what it lets through matters."""
    return None if permit.terms_hash == terms.hash() else End(EndReason.PERMIT_INVALID, "another order")


@dataclass
class Trading:
    """A ledger, the real adapter, and one permitted decision."""

    rehearsal: Rehearsal
    ledger: SqlLedger = field(default_factory=memory_ledger)
    clock: SystemClock = field(default_factory=SystemClock)
    events: RecordedEvents = field(default_factory=RecordedEvents)

    def __post_init__(self) -> None:
        self.venue: CcxtExchange = self.rehearsal.adapter(timeout_s=1.5)
        self.face = Exchange(self.venue, self.venue, self.clock)
        self.intent: Intent = self.face.intent()
        self.decision: Decision = a_decision(self.clock.now())
        _, self.permit = as_order(self.intent, self.decision, self.clock.now())
        with self.ledger.begin() as unit:
            unit.switches.set_trading_state(
                "test", TradingState.ACTIVE, by="t", reason="", at=self.clock.now()
            )
            unit.decisions.open(self.decision)
            unit.permits.add(self.permit)

    def place(self) -> Ending:
        router = OrderRouter(self.ledger, self.venue, self.clock, permitted, QUICK, self.events)
        return router.place(self.decision, self.intent, self.permit)

    def resolved(self) -> Order:
        """The order once upkeep has learnt its fate."""
        resolver = Resolver(self.ledger, self.venue, self.clock, QUICK, self.events)

        def final() -> Order | None:
            resolver.resolve("test")
            return self.order if self.order.state.is_final else None

        return eventually(final, timeout=20, what="the order to be settled")

    @property
    def order(self) -> Order:
        with self.ledger.read() as unit:
            return unit.orders.of(self.decision.decision_id)[-1]

    def agrees(self) -> bool:
        """The ledger and the exchange hold the same."""
        return not compare_positions(self.ledger, self.venue, "test")


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """One simulated exchange; each test has an account of its own on it."""
    server = Simulator("--seed", "7", "--weight-limit", "1000000")
    yield server
    server.stop()


@pytest.fixture
def rehearsal(shared: Simulator) -> Iterator[Rehearsal]:
    opened = Rehearsal(shared)
    yield opened
    opened.calm()


@pytest.fixture
def trading(rehearsal: Rehearsal) -> Trading:
    return Trading(rehearsal)


def reason(ending: Ending) -> object:
    assert isinstance(ending, End), ending
    return ending.reason


ORDER = {"endpoint": "/fapi/v1/order", "method": "POST", "count": 1}


@pytest.mark.parametrize(
    "kind",
    [
        "timeout_after",
        "reset_after",
        "http_503_unknown",
        "code_1006",
        "code_1007",
        "empty_body",
        "html_body",
        "wrong_json",
    ],
)
def test_an_order_whose_answer_was_spoilt_is_found_and_never_repeated(trading: Trading, kind: str) -> None:
    """The exchange has it; we were told nonsense or nothing, and at first it denies it."""
    trading.rehearsal.fault(kind, **ORDER)
    trading.rehearsal.fault("false_not_found", count=1)
    assert isinstance(trading.place(), Unresolved)
    assert trading.order.state is OrderState.UNKNOWN
    assert trading.resolved().state is OrderState.FILLED
    assert reason(trading.place()) is EndReason.FILLED
    assert len(trading.rehearsal.submissions()) <= 1
    assert len(trading.rehearsal.accepted()) == 1
    assert trading.agrees()


def test_an_order_whose_answer_was_lost_is_asked_about_at_once(trading: Trading) -> None:
    """What it filled must not wait for the resolver to get its stop."""
    trading.rehearsal.fault("reset_after", **ORDER)
    assert reason(trading.place()) is EndReason.FILLED
    assert len(trading.rehearsal.accepted()) == 1
    assert trading.agrees()


@pytest.mark.parametrize("kind", ["timeout_before", "reset_before"])
def test_an_order_that_never_arrived_is_declared_not_placed(trading: Trading, kind: str) -> None:
    """After the window and its margin, with every place asked."""
    trading.rehearsal.fault(kind, **ORDER)
    assert isinstance(trading.place(), Unresolved)
    order = trading.resolved()
    assert order.state is OrderState.NOT_PLACED
    assert order.sent_at is not None
    assert order.resolved_at is not None
    assert (order.resolved_at - order.sent_at).total_seconds() >= 2.5
    assert trading.rehearsal.accepted() == []


@pytest.mark.parametrize(
    "kind", ["http_503_unavailable", "http_503_internal", "code_1008", "code_1021", "code_1015"]
)
def test_a_definite_refusal_that_passes_is_followed_by_one_order(trading: Trading, kind: str) -> None:
    """A new attempt under a new id, while the permit lives."""
    trading.rehearsal.fault(kind, **ORDER)
    assert reason(trading.place()) is EndReason.FILLED
    assert trading.order.attempt == 2
    assert len(trading.rehearsal.accepted()) == 1
    assert trading.agrees()


def test_an_order_accepted_late_is_found(trading: Trading) -> None:
    """The connection was reset; the request was inside already."""
    trading.rehearsal.fault("late_acceptance", delay_s=1.2, count=1)
    assert isinstance(trading.place(), Unresolved)
    assert trading.resolved().state is OrderState.FILLED
    assert trading.agrees()


def test_a_false_not_found_does_not_lose_an_order(trading: Trading) -> None:
    """The exchange denies for as long as it is asked; its lists know better."""
    trading.rehearsal.fault("timeout_after", **ORDER)
    trading.rehearsal.fault("false_not_found")
    assert isinstance(trading.place(), Unresolved)
    assert trading.resolved().state is OrderState.FILLED
    assert len(trading.rehearsal.accepted()) == 1
    assert trading.agrees()


def test_a_partial_fill_is_booked_to_the_last_digit(trading: Trading) -> None:
    """Quantity, fee and position are the exchange's."""
    trading.rehearsal.fault("partial_fill", fraction=0.5, count=1)
    assert reason(trading.place()) in {EndReason.PARTIALLY_FILLED, EndReason.UNFILLED}
    order = trading.order
    with trading.ledger.read() as unit:
        fills = unit.fills.of_order(order.client_order_id)
    told = [entry for entry in trading.rehearsal.mine() if entry["kind"] == "fill"]
    assert (
        sum(fill.qty for fill in fills) == order.filled_qty == sum(Decimal(str(e["fill_qty"])) for e in told)
    )
    assert order.fee == sum((Decimal(str(entry["fee"])) for entry in told), Decimal(0))
    assert trading.agrees()


def test_a_second_delivery_sends_nothing(trading: Trading) -> None:
    """Brokers deliver twice."""
    assert trading.place() == trading.place()
    assert len(trading.rehearsal.submissions()) == 1


def test_the_order_on_the_exchange_is_the_permitted_one_to_the_last_digit(trading: Trading) -> None:
    """Parameters in the exchange's journal equal the permit's terms."""
    trading.place()
    [sent] = trading.rehearsal.accepted()
    terms = trading.permit.terms
    assert Decimal(str(sent["qty"])) == terms.qty
    assert Decimal(str(sent["price"])) == terms.limit_price
    assert (sent["side"], sent["client_order_id"]) == (
        terms.side.value.upper(),
        trading.order.client_order_id,
    )


def test_a_refused_order_ends_with_the_code_of_the_exchange(rehearsal: Rehearsal) -> None:
    """A5."""
    trading = Trading(rehearsal)
    trading.intent = replace(trading.intent, qty=Decimal("30"))
    decision = replace(
        trading.decision, decision_id=a_decision(trading.clock.now()).decision_id, symbol=f"{BTC}#"
    )
    _, permit = as_order(trading.intent, decision, trading.clock.now())
    with trading.ledger.begin() as unit:
        unit.decisions.open(decision)
        unit.permits.add(permit)
    trading.decision, trading.permit = decision, permit
    ending = trading.place()
    assert reason(ending) is EndReason.REJECTED_BY_EXCHANGE
    assert isinstance(ending, End)
    assert "-2019" in ending.detail
