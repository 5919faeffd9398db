"""Placing an order: at most one send for a permit, and the truth in the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import End, Mode, Unresolved
from pipeline.domain.errors import InvariantBroken, ThroughlineError, UnknownDecision
from pipeline.domain.events import EventName
from pipeline.domain.intents import TimeInForce
from pipeline.domain.orders import Acknowledged, Answer, Order, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit, PermitState
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.governor.view import Limits
from pipeline.testing import Accident, FakeVenue
from tests.unit.execution.order_worlds import (
    ACCOUNT,
    BTC,
    NOON,
    PASSED,
    OrderWorld,
    decision,
    ended_for,
    intent,
)

CONTEXT_FIELDS = {
    "intent_id",
    "decision_id",
    "symbol",
    "side",
    "qty",
    "limit_px",
    "quote_budget",
    "notional",
    "tif",
    "slippage_bps",
    "min_notional",
    "max_retries",
    "retry_backoff_ms",
    "attempt",
    "attempt_start_ts",
}


def test_a_permitted_order_is_sent_once_and_ends_filled_with_its_fills_booked() -> None:
    """The whole way in one piece: order, fills, fee, position and the decision's end agree."""
    world = OrderWorld()
    ending = world.place()
    assert ended_for(ending) is EndReason.FILLED
    order = world.order
    assert (order.state, order.filled_qty, order.avg_price) == (
        OrderState.FILLED,
        Decimal("0.010"),
        Decimal(60000),
    )
    assert order.fee == Decimal("0.24")
    assert order.exchange_order_id
    assert world.filled == world.held == Decimal("0.010")
    assert len(world.venue.requests) == 1


def test_the_time_that_is_signed_is_the_time_of_the_claim() -> None:
    """A frozen worker's late send is refused by the exchange only when the signed time does not move on."""
    world = OrderWorld()
    world.place()
    assert world.venue.requests[0].sent_at == NOON
    assert world.order.sent_at == NOON


def test_a_worker_frozen_between_claim_and_send_places_nothing() -> None:
    """The receive window turns the late request into a definite refusal."""
    world = OrderWorld(options=replace(OrderWorld().options, max_attempts=1))

    class Frozen(FakeVenue):
        def submit(self, order: Order, permit: Permit) -> Answer:
            world.pass_time(30)
            return FakeVenue.submit(self, order, permit)

    world.venue = Frozen(world.clock, account=ACCOUNT)
    assert ended_for(world.place()) is EndReason.REJECTED_BY_EXCHANGE
    assert world.venue.accepted == []


def test_second_delivery_after_the_end_reports_the_same_and_sends_nothing() -> None:
    """Brokers deliver twice."""
    world = OrderWorld()
    first = world.place()
    world.pass_time(3600)
    assert world.place() == first
    assert len(world.venue.requests) == 1


def test_second_delivery_while_the_first_is_sending_sends_nothing() -> None:
    """The parent was killed, its child still sends, and the message is delivered again."""
    world = OrderWorld()
    seen: list[object] = []

    class Overlapping(FakeVenue):
        def submit(self, order: Order, permit: Permit) -> Answer:
            if not seen:
                seen.append(None)
                seen.append(world.place())
            return FakeVenue.submit(self, order, permit)

    world.venue = Overlapping(world.clock, account=ACCOUNT)
    assert ended_for(world.place()) is EndReason.FILLED
    assert isinstance(seen[1], Unresolved)
    assert len(world.venue.requests) == 1


def test_an_order_of_another_account_goes_nowhere() -> None:
    """Whatever led here: its permit is good, and the money would be somebody else's."""
    world = OrderWorld()
    world.venue = FakeVenue(world.clock, account="other")
    with pytest.raises(UnknownDecision, match=f"of account {ACCOUNT}.*other"):
        world.place()
    assert (world.venue.requests, world.orders) == ([], [])


def test_another_accounts_exchange_is_not_asked_what_became_of_an_order() -> None:
    """It would say that there is no such order, until that is believed."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LATE]
    world.place()
    before = world.order
    world.venue = FakeVenue(world.clock, account="other")
    world.pass_time(3600)
    with pytest.raises(UnknownDecision):
        world.place()
    assert world.order == before


def test_every_attempt_is_preceded_by_its_full_context() -> None:
    """When an order goes wrong, its context is what people look for first."""
    world = OrderWorld()
    world.venue.accidents = [Accident.BUSY]
    world.place()
    contexts = world.events.of(EventName.ORDER_CONTEXT)
    assert [context["attempt"] for context in contexts] == [1, 2]
    assert all(set(context) >= CONTEXT_FIELDS for context in contexts)


def test_a_retryable_refusal_leads_to_a_new_attempt_under_a_new_id() -> None:
    """Nothing was placed, and the permit lives: the permit still allows one order."""
    world = OrderWorld()
    world.venue.accidents = [Accident.BUSY]
    assert ended_for(world.place()) is EndReason.FILLED
    assert [order.state for order in world.orders] == [OrderState.REJECTED, OrderState.FILLED]
    assert len({order.client_order_id for order in world.orders}) == 2
    assert len(world.venue.accepted) == 1


def test_attempts_back_off_and_end_with_the_last_refusal() -> None:
    """A busy exchange is not hammered."""
    world = OrderWorld()
    world.venue.accidents = [Accident.BUSY] * 9
    ending = world.place()
    assert ended_for(ending) is EndReason.REJECTED_BY_EXCHANGE
    assert world.pauses == [0.25, 0.5]
    assert len(world.venue.requests) == world.options.max_attempts


def test_no_attempt_is_made_once_the_permit_would_have_run_out() -> None:
    """The backoff never carries an order beyond what the governor allowed."""
    world = OrderWorld(options=replace(OrderWorld().options, retry_backoff_ms=11_000))
    world.venue.accidents = [Accident.BUSY]
    assert ended_for(world.place()) is EndReason.REJECTED_BY_EXCHANGE
    assert len(world.venue.requests) == 1


def test_a_definite_refusal_ends_the_decision_with_the_code_of_the_exchange() -> None:
    """A5: rejected by the exchange, with its code."""
    world = OrderWorld()
    world.venue.accidents = [Accident.REFUSED]
    ending = world.place()
    assert ended_for(ending) is EndReason.REJECTED_BY_EXCHANGE
    assert isinstance(ending, End)
    assert "-2019" in ending.detail
    assert len(world.venue.requests) == 1


def test_an_unknown_answer_is_never_followed_by_another_send() -> None:
    """The rule that the whole recipe exists for."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_ANSWER]
    world.venue.hidden_for = timedelta(seconds=1)
    assert isinstance(world.place(), Unresolved)
    assert world.state is OrderState.UNKNOWN
    world.pass_time(1)
    assert ended_for(world.place()) is EndReason.FILLED  # the second delivery asks, and finds it
    assert len(world.venue.requests) == 1


def test_an_unknown_answer_is_asked_about_by_whoever_got_it() -> None:
    """What has filled needs its stop now, not when the resolver comes by."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_ANSWER]
    assert ended_for(world.place()) is EndReason.FILLED
    assert world.held == Decimal("0.010")
    assert len(world.venue.requests) == 1


def test_an_exchange_that_is_silent_about_an_unknown_order_leaves_it_to_the_resolver() -> None:
    """The question settles nothing that its answer did not."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_REQUEST]
    world.venue.down = "away"
    assert isinstance(world.place(), Unresolved)
    assert (world.state, world.order.misses) == (OrderState.UNKNOWN, 0)


def test_an_adapter_that_raises_counts_as_unknown() -> None:
    """A bug below must not turn into a second order."""

    class Broken(FakeVenue):
        def submit(self, order: Order, permit: Permit) -> Answer:
            FakeVenue.submit(self, order, permit)
            raise RuntimeError("a bug")

    world = OrderWorld()
    world.venue = Broken(world.clock, account=ACCOUNT)
    assert ended_for(world.place()) is EndReason.FILLED  # the exchange was asked
    assert EventName.ORDER_UNKNOWN in world.events.names
    assert len(world.venue.requests) == 1


def test_an_answer_that_comes_after_the_order_was_called_unknown_still_counts() -> None:
    """The sender is slow, not dead; only it knows the answer."""
    world = OrderWorld()

    class Slow(FakeVenue):
        def submit(self, order: Order, permit: Permit) -> Answer:
            answer = FakeVenue.submit(self, order, permit)
            world.pass_time(30)
            self.hidden_for = timedelta(hours=1)
            self._book[-1].visible_at = world.clock.now() + timedelta(hours=1)
            world.resolver.resolve(ACCOUNT)
            assert world.state is OrderState.UNKNOWN
            return answer

    world.venue = Slow(world.clock, account=ACCOUNT)
    assert ended_for(world.place()) is EndReason.FILLED
    assert world.held == Decimal("0.010")


@pytest.mark.parametrize(
    ("fraction", "reason"), [("0.4", EndReason.PARTIALLY_FILLED), ("0", EndReason.UNFILLED)]
)
def test_what_an_immediate_or_cancel_order_does_not_find_ends_with_it(
    fraction: str, reason: EndReason
) -> None:
    """E2: partial fills are executed as far as they go; nothing found is no execution."""
    world = OrderWorld()
    world.venue.fill_fraction = Decimal(fraction)
    assert ended_for(world.place()) is reason
    assert world.state is OrderState.EXPIRED
    assert world.held == Decimal("0.010") * Decimal(fraction)


def test_an_order_is_not_final_before_its_trades_are_listed() -> None:
    """The exchange may report a fill before it lists the trade; exposure must not vanish in between."""
    world = OrderWorld()
    world.venue.trades_late_by = timedelta(seconds=7)
    assert isinstance(world.place(), Unresolved)
    assert world.state is OrderState.ACKED
    world.resolve_until(lambda: world.state.is_final)
    assert (world.state, world.held) == (OrderState.FILLED, Decimal("0.010"))


def test_a_working_order_stays_unresolved_until_it_is_done() -> None:
    """A limit order that rests is neither executed nor unfilled."""
    world = OrderWorld(intent=intent(tif=TimeInForce.GTC, limit_price=Decimal("59000.0")))
    world.place_and_die()
    assert world.state is OrderState.ACKED
    assert isinstance(world.place(), Unresolved)
    world.venue.cancel(world.order)
    world.resolver.resolve(ACCOUNT)
    assert ended_for(world.place()) is EndReason.UNFILLED


# -------------------------------------------------------------------------------------- refusing to send


def test_an_expired_permit_sends_nothing() -> None:
    """D2: permits expire in seconds."""
    world = OrderWorld()
    world.pass_time(10)
    assert ended_for(world.place()) is EndReason.PERMIT_EXPIRED
    assert world.venue.requests == []


@pytest.mark.parametrize("change", ["qty", "signature"])
def test_an_order_that_is_not_the_permitted_one_is_refused_and_reported(change: str) -> None:
    """A forged message or a changed order is a security event, not an order."""
    world = OrderWorld()
    if change == "qty":
        world.intent = replace(world.intent, qty=Decimal("0.020"))
    else:
        world.permit = replace(world.permit, signature="0" * 64)
    assert ended_for(world.place()) is EndReason.PERMIT_INVALID
    assert world.venue.requests == []
    assert EventName.SECURITY in world.events.names


def test_a_permit_that_was_used_already_sends_nothing() -> None:
    """Single use: also when the order that used it is out of sight."""
    world = OrderWorld()
    with world.ledger.begin() as unit:
        unit.permits.use(world.permit.permit_id, NOON)
    assert ended_for(world.place()) is EndReason.PERMIT_INVALID
    assert world.venue.requests == []


@pytest.mark.parametrize(
    ("scope", "name", "stops"),
    [
        (KillScope.GLOBAL, "", True),
        (KillScope.SYMBOL, BTC, True),
        (KillScope.STRATEGY, "adaptive_ob", True),
        (KillScope.SYMBOL, "ETH/USDT:USDT", False),
    ],
)
def test_a_kill_switch_stops_an_order_that_was_permitted_before(
    scope: KillScope, name: str, stops: bool
) -> None:
    """The switch is asked in the transaction that sends, not only when the permit was issued."""
    world = OrderWorld()
    with world.ledger.begin() as unit:
        unit.switches.set(KillSwitch(scope=scope, name=name, reason="test", set_by="me", set_at=NOON))
    assert (ended_for(world.place()) is CheckCode.KILL_SWITCH) is stops
    assert (world.venue.requests == []) is stops


def test_an_unreadable_kill_switch_counts_as_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed."""
    world = OrderWorld()

    def unreadable(_self: object) -> object:
        raise ValueError("garbage in the table")

    monkeypatch.setattr("pipeline.ledger.switches.SqlSwitches.on", unreadable)
    assert ended_for(world.place()) is CheckCode.KILL_SWITCH
    assert world.venue.requests == []


@pytest.mark.parametrize(
    ("state", "reduce_only", "reason"),
    [
        (TradingState.HALTED, False, CheckCode.HALTED),
        (TradingState.HALTED, True, CheckCode.HALTED),
        (TradingState.REDUCING, False, CheckCode.REDUCING),
        (TradingState.REDUCING, True, EndReason.REJECTED_BY_EXCHANGE),  # sent; there is nothing to reduce
    ],
)
def test_the_trading_state_is_asked_again_before_sending(
    state: TradingState, reduce_only: bool, reason: object
) -> None:
    """REDUCING lets through what reduces; HALTED nothing."""
    world = OrderWorld(intent=intent(reduce_only=reduce_only))
    with world.ledger.begin() as unit:
        unit.switches.set_trading_state(ACCOUNT, state, by="me", reason="test", at=NOON)
    assert ended_for(world.place()) is reason


def test_an_abandoned_order_frees_what_its_permit_reserved() -> None:
    """A blocked order must not hold the budget of others."""
    world = OrderWorld()
    with world.ledger.begin() as unit:
        unit.switches.set_trading_state(ACCOUNT, TradingState.HALTED, by="me", reason="test", at=NOON)
    world.place()
    assert world.state is OrderState.ABANDONED
    with world.ledger.read() as unit:
        permit = unit.permits.of(world.decision.decision_id)
    assert permit is not None
    assert permit.state is PermitState.RELEASED


def test_a_second_delivery_of_an_abandoned_order_reports_its_reason() -> None:
    """The crash came between the abandoning and the decision's end."""
    world = OrderWorld()
    with world.ledger.begin() as unit:
        unit.switches.set_trading_state(ACCOUNT, TradingState.HALTED, by="me", reason="test", at=NOON)
    assert ended_for(world.place()) is ended_for(world.place()) is CheckCode.HALTED


def test_nothing_is_sent_after_the_decisions_deadline() -> None:
    """The market has moved on."""
    world = OrderWorld()
    world.authority = type(world.authority)(b"a key of sixteen bytes and more", 3600.0, world.clock)
    late = decision("late", "ETH/USDT:USDT")
    world.intent = intent(symbol=late.symbol)
    world.permit, world.decision = world.permitted(late, world.intent), late
    world.pass_time(60)
    assert ended_for(world.place()) is EndReason.DEADLINE
    assert world.venue.requests == []


def test_nothing_is_sent_for_a_decision_that_has_ended() -> None:
    """Somebody else ended it: a late delivery must not trade."""
    world = OrderWorld()
    with world.ledger.begin() as unit:
        unit.decisions.end(world.decision.decision_id, EndReason.TIME_LIMIT, "took too long", NOON)
    assert ended_for(world.place()) is EndReason.TIME_LIMIT
    assert world.venue.requests == []


def test_a_decision_that_the_ledger_has_never_seen_sends_nothing() -> None:
    """A message from another installation, with a permit signed by the same key."""
    world = OrderWorld()
    stranger = decision("stranger")
    terms = OrderTerms.of(world.intent, stranger.decision_id, ACCOUNT, Mode.PAPER)
    permit = world.authority.issue(terms, world.intent.notional, Limits(), PASSED)
    with pytest.raises(ThroughlineError):
        world.router.place(stranger, world.intent, permit)
    assert world.venue.requests == []


def test_an_unresolved_order_on_the_symbol_blocks_a_new_one() -> None:
    """Until its fate is known its exposure is held and the symbol closed, whatever became of its decision."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_REQUEST]
    world.place()
    with world.ledger.begin() as unit:
        unit.decisions.end(world.decision.decision_id, EndReason.KEEPS_DYING, "", NOON)
    other = decision("other")
    permit = world.permitted(other, world.intent)
    assert ended_for(world.router.place(other, world.intent, permit)) is CheckCode.UNKNOWN_PENDING
    assert len(world.venue.requests) == 1


def test_an_order_in_the_way_that_can_be_resolved_now_is_out_of_the_way() -> None:
    """Asking first costs one request; being blocked for a minute costs a trade."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_ANSWER]
    world.place()
    with world.ledger.begin() as unit:
        unit.decisions.end(world.decision.decision_id, EndReason.KEEPS_DYING, "", NOON)
    other = decision("other")
    permit = world.permitted(other, world.intent)
    assert ended_for(world.router.place(other, world.intent, permit)) is EndReason.FILLED
    assert world.held == Decimal("0.020")


def test_an_intent_left_by_a_dead_worker_is_carried_on_by_the_next_delivery() -> None:
    """Killed between INTENT and SENDING: nobody has sent it, so the next one may."""
    world = OrderWorld()
    world.intend()
    assert ended_for(world.place()) is EndReason.FILLED
    assert len(world.venue.requests) == 1


def test_an_acknowledgement_for_more_than_was_ordered_stops_everything() -> None:
    """A guarantee does not hold: no number may be booked on top of it."""

    class Generous(FakeVenue):
        def submit(self, order: Order, permit: Permit) -> Answer:
            answer = FakeVenue.submit(self, order, permit)
            assert isinstance(answer, Acknowledged)
            return Acknowledged(replace(answer.report, filled_qty=order.qty * 2))

    world = OrderWorld()
    world.venue = Generous(world.clock, account=ACCOUNT)
    with pytest.raises(InvariantBroken, match="filled"):
        world.place()
