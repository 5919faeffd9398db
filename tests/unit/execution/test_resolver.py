"""Learning the fate of orders: absence is believed late, and only from every side at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.domain.decisions import Unresolved
from pipeline.domain.errors import ExchangeUnavailable, InvariantBroken
from pipeline.domain.events import EventName
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.orders import Order, OrderReport, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.positions import Holding
from pipeline.execution.absence import Absent, Answers, Proof, Settle, Wait, judge, too_early
from pipeline.execution.job import Job
from pipeline.execution.options import ExecutionOptions
from pipeline.testing import Accident, FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT, BTC, NOON, OrderWorld, decision, ended_for, intent

OPTIONS = ExecutionOptions()
QUIET = NOON + timedelta(seconds=65)
CLEAN = Proof(listed=None, stray_trades=0, held=Decimal(0), expected=Decimal(0))
REPORT = OrderReport(
    client_order_id=ClientOrderId("c"),
    exchange_order_id="1",
    state=OrderState.FILLED,
    filled_qty=Decimal(1),
    avg_price=Decimal(60000),
)


def missed(misses: int = 3, first_s: float = 5, last_s: float = 66) -> Order:
    """An UNKNOWN order sent at noon and missed between two instants after it."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_REQUEST]
    world.place()
    return replace(
        world.order,
        misses=misses,
        first_miss_at=NOON + timedelta(seconds=first_s),
        last_miss_at=NOON + timedelta(seconds=last_s),
    )


def test_what_the_exchange_knows_is_settled_at_once() -> None:
    """Asking is enough; no waiting is needed for good news."""
    assert judge(missed(0), Answers(REPORT), NOON, OPTIONS) == Settle(REPORT)


@pytest.mark.parametrize(
    ("order", "after_s"),
    [
        (missed(), 64),
        (missed(misses=2), 66),
        (missed(first_s=40), 66),
        (missed(last_s=60), 66),
        (replace(missed(), first_miss_at=None), 66),
    ],
    ids=["window and margin", "too few misses", "all at once", "last miss too early", "never missed"],
)
def test_absence_is_not_believed_early(order: Order, after_s: float) -> None:
    """A live order can be "not found" for more than ten seconds, and a request can be executed late."""
    now = NOON + timedelta(seconds=after_s)
    assert too_early(order, now, OPTIONS)
    assert isinstance(judge(order, Answers(None, CLEAN), now, OPTIONS), Wait)


def test_absence_is_believed_only_with_every_proof() -> None:
    """Open orders, history, trades and the position must agree."""
    later = NOON + timedelta(seconds=70)
    assert isinstance(judge(missed(), Answers(None), later, OPTIONS), Wait)
    assert isinstance(judge(missed(), Answers(None, CLEAN), later, OPTIONS), Absent)
    assert judge(missed(), Answers(None, replace(CLEAN, listed=REPORT)), later, OPTIONS) == Settle(REPORT)


@pytest.mark.parametrize("doubt", [{"stray_trades": 1}, {"held": Decimal("0.01")}])
def test_a_trade_or_a_position_that_nobody_explains_keeps_the_order_open(doubt: dict[str, Decimal]) -> None:
    """Declaring a live order absent is the one mistake that must not happen: a person has to look."""
    verdict = judge(missed(), Answers(None, replace(CLEAN, **doubt)), NOON + timedelta(seconds=70), OPTIONS)  # type: ignore[arg-type]
    assert isinstance(verdict, Wait)
    assert verdict.stuck


def test_a_lost_request_is_declared_not_placed_after_a_minute_and_not_before() -> None:
    """The decision ends, the symbol opens again, and nothing was sent twice."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_REQUEST]
    world.place()
    world.resolve_until(lambda: world.state is not OrderState.UNKNOWN)
    assert world.state is OrderState.NOT_PLACED
    assert timedelta(seconds=65) <= world.clock.now() - NOON <= timedelta(seconds=80)
    assert ended_for(world.place()) is EndReason.NOT_PLACED
    assert len(world.venue.requests) == 1


def test_an_order_accepted_long_after_its_window_is_found() -> None:
    """A request already inside the gate can be executed later; the margin is there for it."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LATE]
    world.place()
    world.resolve_until(lambda: world.state.is_final)
    assert (world.state, world.held) == (OrderState.FILLED, Decimal("0.010"))


def test_a_false_not_found_does_not_make_a_live_order_absent() -> None:
    """Binance says "does not exist" about orders that do; the lists and the position know better."""
    world = OrderWorld()
    world.venue.accidents, world.venue.hidden_for = [Accident.LOST_ANSWER], timedelta(days=1)
    world.place()
    world.resolve_until(lambda: world.state.is_final)
    assert world.state is OrderState.FILLED


def test_a_false_not_found_does_not_keep_an_acknowledged_order_open() -> None:
    """Its fills are still to be booked, and the lists know it."""
    world = OrderWorld()
    world.venue.hidden_for, world.venue.trades_late_by = timedelta(days=1), timedelta(seconds=5)
    world.place()
    assert world.state is OrderState.ACKED
    world.resolve_until(lambda: world.state.is_final, at_most_s=30)
    assert (world.state, world.held) == (OrderState.FILLED, Decimal("0.010"))


def test_a_position_that_changed_without_us_keeps_the_symbol_blocked_and_says_so() -> None:
    """Somebody trades on the account by hand: a person must look before the order is called absent."""

    class Touched(FakeVenue):
        def holdings(self) -> list[Holding]:
            return [Holding(symbol=BTC, qty=Decimal("0.5"), entry_price=Decimal(60000))]

    world = OrderWorld()
    world.venue = Touched(world.clock, account=ACCOUNT, accidents=[Accident.LOST_REQUEST])
    world.place()
    world.resolve_until(lambda: world.state.is_final, at_most_s=200)
    assert world.state is OrderState.UNKNOWN
    assert any("0.5" in str(event["problem"]) for event in world.events.of(EventName.ORDER_UNKNOWN))


def test_an_order_whose_sender_died_is_taken_over_only_after_its_request_must_be_over() -> None:
    """A sender that waits for its answer is not dead."""
    world = OrderWorld()
    _claimed_and_died(world)
    assert isinstance(world.place(), Unresolved)
    states = [world.state]
    world.pass_time(world.options.sending_stale_s)
    world.resolver.resolve(ACCOUNT)
    states.append(world.state)
    assert states == [OrderState.SENDING, OrderState.UNKNOWN]
    assert world.venue.requests == []


def test_an_intent_that_nobody_sent_is_abandoned_when_its_permit_has_run_out() -> None:
    """Killed between INTENT and SENDING, and the message never came again."""
    world = OrderWorld()
    world.intend()
    assert world.resolver.resolve(ACCOUNT) == []
    world.pass_time(11)
    assert [order.state for order in world.resolver.resolve(ACCOUNT)] == [OrderState.ABANDONED]
    assert ended_for(world.place()) is EndReason.PERMIT_EXPIRED


def test_an_exchange_that_does_not_answer_changes_nothing() -> None:
    """No answer is not "not found"."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_REQUEST]
    world.place()
    world.venue.down = "away"
    world.resolve_until(lambda: world.state.is_final, at_most_s=300)
    assert world.state is OrderState.UNKNOWN
    assert world.order.misses == 0


def hidden_world(orders: int = 1) -> OrderWorld:
    """The answers to the first orders are lost, and for a second the exchange does not know them."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_ANSWER] * orders
    world.venue.hidden_for = timedelta(seconds=1)
    return world


def test_a_fill_is_told_before_the_next_question_is_asked() -> None:
    """What it opened needs its stop; a pass over many orders of an exchange that is slow may take a minute."""
    world = hidden_world(2)
    world.place()
    eth = decision("other", "ETH/USDT:USDT")
    wanted = intent(symbol=eth.symbol)
    world.router.place(eth, wanted, world.permitted(eth, wanted))
    world.pass_time(1)
    booked: list[tuple[str, OrderState]] = []

    def note(symbol: str) -> None:
        with world.ledger.read() as unit:
            states = [unit.orders.of(each.decision_id)[0].state for each in (world.decision, eth)]
        booked.append((symbol, states[len(booked)]))
        assert states.count(OrderState.FILLED) == len(booked)

    world.resolver.resolve(ACCOUNT, booked=note)
    assert booked == [(BTC, OrderState.FILLED), (eth.symbol, OrderState.FILLED)]


def test_trades_that_come_after_their_order_are_told_as_well() -> None:
    """The exchange says "filled" first and lists the trade later: only then is there a position to protect."""
    world = OrderWorld()
    world.venue.trades_late_by = timedelta(seconds=1)
    world.place()
    assert world.held == 0
    world.pass_time(1)
    booked: list[str] = []
    world.resolver.resolve(ACCOUNT, booked=booked.append)
    assert (booked, world.held) == ([BTC], Decimal("0.010"))


def test_settled_orders_are_returned_once() -> None:
    """Each is a reason to conclude its decision."""
    world = hidden_world()
    world.place()
    world.pass_time(1)
    assert [order.client_order_id for order in world.resolver.resolve(ACCOUNT)] == [
        world.order.client_order_id
    ]
    assert world.resolver.resolve(ACCOUNT) == []


def test_two_resolvers_at_once_book_a_fill_once() -> None:
    """The upkeep task may overlap with itself and with a second delivery."""
    world = OrderWorld()
    world.venue.accidents = [Accident.LOST_ANSWER]
    world.place()
    stale = world.order
    world.resolver.ask(stale)
    world.resolver.ask(stale)
    assert world.filled == world.held == Decimal("0.010")


def test_one_impossible_order_does_not_hide_the_fate_of_the_others() -> None:
    """It is reported, after everybody else was asked about."""
    world = hidden_world(2)
    world.place()
    eth = decision("other", "ETH/USDT:USDT")
    wanted = intent(symbol=eth.symbol)
    world.router.place(eth, wanted, world.permitted(eth, wanted))
    world.pass_time(1)
    first = world.venue._book[0]
    first.report = replace(first.report, filled_qty=Decimal(5))
    with pytest.raises(InvariantBroken):
        world.resolver.resolve(ACCOUNT)
    with world.ledger.read() as unit:
        states = [unit.orders.of(each.decision_id)[0].state for each in (world.decision, eth)]
    assert states == [OrderState.UNKNOWN, OrderState.FILLED]


@pytest.mark.parametrize(("silent", "asked"), [(1, 4), (2, 2)])
def test_one_question_without_an_answer_keeps_nobody_from_being_asked_about(
    monkeypatch: pytest.MonkeyPatch, silent: int, asked: int
) -> None:
    """A fill may stand behind it, and a position without its stop; two in a row are an exchange that is away."""
    world = four_unknown()
    questions: list[str] = []

    def find(self: FakeVenue, order: Order) -> OrderReport | None:
        questions.append(order.symbol)
        if len(questions) <= silent:
            raise ExchangeUnavailable("no word")
        return answer(self, order)

    answer = FakeVenue.find
    monkeypatch.setattr(FakeVenue, "find", find)
    settled = world.resolver.resolve(ACCOUNT)
    assert (len(questions), len(settled)) == (asked, asked - silent)


def test_questions_that_are_never_answered_keep_nobody_from_being_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They end each pass, and count no miss: the next one begins behind them."""
    world = four_unknown()
    resolver = world.resolver
    with world.ledger.read() as unit:
        mute = [each.symbol for each in unit.orders.under_way(ACCOUNT)][:2]
    answer = FakeVenue.find

    def find(self: FakeVenue, order: Order) -> OrderReport | None:
        if order.symbol in mute:
            raise ExchangeUnavailable("rubbish")
        return answer(self, order)

    monkeypatch.setattr(FakeVenue, "find", find)
    settled: list[Order] = []
    for _ in range(2):
        world.pass_time(5)
        settled += resolver.resolve(ACCOUNT)
    assert len(settled) == 2


def four_unknown() -> OrderWorld:
    """Orders on four symbols that have filled, and nobody here knows it."""
    world = hidden_world(4)
    world.place()
    for name in ("ETH", "SOL", "XRP"):
        other = decision(name, f"{name}/USDT:USDT")
        wanted = intent(symbol=other.symbol)
        world.router.place(other, wanted, world.permitted(other, wanted))
    world.pass_time(1)
    return world


def _claimed_and_died(world: OrderWorld) -> None:
    order = world.intend()
    with world.ledger.begin(durable=True) as unit:
        job = Job(world.decision, world.intent, world.permit)
        assert world.router.claim_intended(unit, job, order) is not None
