"""Placing a permitted order: at most one send, whatever crashes.

The ledger is the lock. An order is written as INTENT; whoever moves it to SENDING, in the transaction
that also uses up its permit, is the only one who may send it, once. A second delivery of the same
message finds the order and asks the exchange about it instead.

A permit allows one order. Another attempt, under a new client order id, asks for what no earlier one can
fill any more: after a listed, definite refusal, or when a resting order was cancelled and is final; and only
while the permit lives. See `attempts` and `gate.uncovered`. It is written as INTENT together with the end of
the one before, so that its worst case counts without a gap.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Decision, End
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, UnknownDecision
from pipeline.domain.events import Area, EventName, Events
from pipeline.domain.intents import Intent, OrderType
from pipeline.domain.orders import Acknowledged, Answer, Order, OrderState, Rejected, Unknown
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Permit, PermitState
from pipeline.domain.ports import Clock, Ledger, Quote, Unit, Venue
from pipeline.domain.signals import Side
from pipeline.execution.attempts import (
    Attempt,
    Remainder,
    after_refusal,
    after_rest,
    beyond_bound,
    first_attempt,
    is_resting_kind,
    rests,
)
from pipeline.execution.booking import Bookkeeper, Then, order_fields, step_if_allowed
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.gate import PermitCheck, stop_reason, uncovered
from pipeline.execution.job import Found, Job, find, new_order, order_context
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.outcome import Ending, conclude, is_all
from pipeline.execution.resolver import Resolver, abandon, blocks_its_symbol
from pipeline.execution.resting import Resting


def clock_is_right(intent: Intent, permit: Permit) -> End | None:
    """Where nobody doubts the clock."""
    return None


def no_quotes(symbol: str) -> Quote:
    """Where nobody can be asked for a price: what rests is priced at its bound, no market order is sent."""
    raise ExchangeUnavailable(f"nobody tells the price of {symbol}")


@dataclass(frozen=True, slots=True)
class OrderRouter:
    """Places orders. `permit_problem` says why a permit does not allow an order; `pause` waits between
    attempts; `quote` tells the best bid and ask; `clock_problem` says why our clock cannot be trusted to judge
    whether a permit still lives, None when it can.
    """

    ledger: Ledger
    venue: Venue
    clock: Clock
    permit_problem: PermitCheck
    options: ExecutionOptions
    events: Events
    pause: Callable[[float], None] = field(default=time.sleep)
    quote: Callable[[str], Quote] = field(default=no_quotes)
    clock_problem: Callable[[Intent, Permit], End | None] = field(default=clock_is_right)

    def place(self, decision: Decision, intent: Intent, permit: Permit, found: Found | None = None) -> Ending:
        """Place the intent's order, or learn what became of it if it was sent before. Safe to call twice, anywhere.
        `found` is what `find` has just shown to whoever read the permit.

        Returns how the decision ends, or `Unresolved` while the resolver must go on asking.
        Raises: LedgerUnavailable; UnknownDecision; InvariantBroken when the exchange contradicts the order.
        """
        job = Job(decision, intent, permit)
        orders, blocking = self._standing(job) if found is None else found
        last = orders[-1] if orders else None
        if last is not None and last.state is not OrderState.INTENT:
            return self._report(last)
        problem = self._problem(job, blocking)
        if problem is not None:
            return self._give_up(job, last, problem)
        order = last or self._intend(job)
        return self._carry_out(job, order) if order else self._report_standing(job)

    def intend(self, unit: Unit, decision: Decision, intent: Intent, permit: Permit) -> Order:
        """Write the first attempt down in the unit that writes its permit: nothing of it can have been sent.

        For what waits for its price and needs no quote. Raises: LedgerUnavailable.
        """
        job = Job(decision, intent, permit)
        order = new_order(job, first_attempt(job.terms, None, self.options), self.clock.now())
        unit.orders.add(order)
        reached(CrashPoint.INTENT_UNCOMMITTED, order.symbol)
        return order

    def claim_intended(self, unit: Unit, job: Job, order: Order) -> Order | None:
        """As its sender does, in a durable unit, what `intend` has written. Only guards: nobody else is asked first."""
        problem = self._problem(job, ())
        if problem is not None:
            abandon(unit, order, job.permit, problem, self.clock.now())
            return None
        return self._claim_in(unit, job, order)

    def place_intended(self, job: Job, order: Order, sending: Order | None = None) -> Ending:
        """Place what `intend` has written, as `place` would; nobody is asked what became of it before. `sending` is
        the order as `claim_intended` has committed it.
        """
        if sending is not None:
            reached(CrashPoint.CLAIM_COMMITTED, order.symbol)
            self._tell_intended(job, order)
            return self._send(job, sending)
        problem = self._problem(job, ())
        if problem is not None:
            return self._give_up(job, order, problem)
        self._tell_intended(job, order)
        return self._carry_out(job, order)

    # --------------------------------------------------------------------------------- before it is sent

    def _standing(self, job: Job) -> Found:
        with self.ledger.read() as unit:
            return find(unit, job.decision, job.intent)

    def _problem(self, job: Job, blocking: Sequence[Order]) -> End | None:
        now = self.clock.now()
        # Whether it was used is the ledger's to say, in the transaction that sends; here only what it allows.
        unused = replace(job.permit, state=PermitState.ISSUED)
        problem = self.permit_problem(unused, job.terms, now)
        if problem is not None and problem.reason is EndReason.PERMIT_INVALID:
            self.events.emit(
                EventName.SECURITY,
                decision_id=job.decision.decision_id,
                what="a permit that does not allow the order; nothing was sent",
                problem=problem.detail,
            )
        return problem or self.clock_problem(job.intent, job.permit) or self._still_blocked(blocking)

    def _still_blocked(self, blocking: Sequence[Order]) -> End | None:
        """Ask about every order in the way; what the exchange does not settle keeps the symbol closed."""
        for order in blocking:
            try:
                after = self._resolver().ask(order)
            except (ExchangeUnavailable, ExchangeRefused):
                after = order
            if blocks_its_symbol(after):
                detail = (
                    f"order {order.client_order_id} of {order.decision_id} on {order.symbol} is {after.state}"
                )
                return End(CheckCode.UNKNOWN_PENDING, detail)
        return None

    def _give_up(self, job: Job, order: Order | None, end: End) -> Ending:
        if order is None:
            return end
        with self.ledger.begin(durable=True) as unit:
            permit = unit.permits.of(order.decision_id, order.leg)
            abandoned = abandon(unit, order, permit, end, self.clock.now())
        return self._report(abandoned)

    def _intend(self, job: Job) -> Order | None:
        """Write the first attempt down. None when somebody else has.

        Not durable: a power cut that forgets an order that was never sent does no harm.
        """
        quote = self._quote(job) if is_resting_kind(job.terms.type, job.terms.tif) else None
        order = new_order(job, first_attempt(job.terms, quote, self.options), self.clock.now())
        with self.ledger.begin() as unit:
            added = unit.orders.add(order)
            reached(CrashPoint.INTENT_UNCOMMITTED, order.symbol)
        reached(CrashPoint.INTENT_COMMITTED, order.symbol)
        if not added:
            return None
        self._tell_intended(job, order)
        return order

    def _tell_intended(self, job: Job, order: Order) -> None:
        name = EventName.BUY_ORDER if order.side is Side.BUY else EventName.SELL_ORDER
        self.events.emit(name, **order_fields(order), strategy=job.intent.strategy, reason=job.intent.reason)

    def _quote(self, job: Job) -> Quote | None:
        try:
            return self.quote(job.terms.symbol)
        except (ExchangeUnavailable, ExchangeRefused):
            return None

    # ---------------------------------------------------------------------------------------- sending it

    def _carry_out(self, job: Job, order: Order) -> Ending:
        problem = self._unsendable(job, order)
        if problem is not None:
            return self._give_up(job, order, problem)
        sending = self._claim(job, order)
        return self._report_standing(job) if sending is None else self._send(job, sending)

    def _send(self, job: Job, sending: Order) -> Ending:
        """Send what is claimed, and what follows it under its permit."""
        answer = self._submit(job, sending)
        order = self._wait_out(job, self._known(self._record(job, sending, answer)))
        following = self._successor(job, order, answer)
        if following is not None:
            return self._carry_out(job, following)
        self._release_dead_man(order)
        return self._conclusion(job, order)

    def _unsendable(self, job: Job, order: Order) -> End | None:
        """What the ledger cannot know: where the market stands, and whether the exchange would clean up."""
        if order.type is OrderType.MARKET and not order.leg.guards:  # a stop is meant for a market beyond it
            return self._outside_bound(job)
        if not rests(order) or order.reduce_only:
            return None
        try:
            self.venue.dead_man(order.symbol, self.options.dead_man_s)
        except (ExchangeUnavailable, ExchangeRefused) as error:
            return End(EndReason.UNAVAILABLE, f"the exchange's dead-man switch could not be set: {error}")
        return None

    def _outside_bound(self, job: Job) -> End | None:
        """A market order has no price of its own: it is sent only while the market is within the permit's."""
        quote = self._quote(job)
        if quote is None:
            return End(CheckCode.NO_REFERENCE, "a market order is not sent without a quote")
        if beyond_bound(job.terms, quote):
            told = f"bid {quote.bid}, ask {quote.ask}; the bound is {job.terms.limit_price}"
            return End(CheckCode.PRICE_COLLAR, f"the market is beyond the permit's bound: {told}")
        return None

    def _claim(self, job: Job, order: Order) -> Order | None:
        with self.ledger.begin(durable=True) as unit:
            sending = self._claim_in(unit, job, order)
        if sending is not None:
            reached(CrashPoint.CLAIM_COMMITTED, order.symbol)
        return sending

    def _claim_in(self, unit: Unit, job: Job, order: Order) -> Order | None:
        """Become the only one who may send `order`. None when it must not be sent, or somebody else has it.

        One durable transaction: the decision is open and in time, no switch is on, the permit is used up
        by this, and the order is SENDING with our fence and the time that will be signed.
        """
        now = self.clock.now()
        decision = unit.decisions.lock(job.decision.decision_id)
        if decision is None:
            raise UnknownDecision(f"{job.decision.decision_id} is not in the ledger; nothing was sent")
        stop = stop_reason(unit, decision, job.intent, now) or uncovered(unit, order, job.permit, now)
        if stop is not None:
            abandon(unit, order, unit.permits.of(order.decision_id, order.leg), stop, now)
            return None
        sending = unit.orders.step(order, OrderState.SENDING, now, fence=uuid.uuid4().hex, sent_at=now)
        reached(CrashPoint.CLAIM_UNCOMMITTED, order.symbol)
        return sending

    def _submit(self, job: Job, order: Order) -> Answer:
        """Exactly one request. Nothing below repeats it."""
        self.events.emit(EventName.ORDER_CONTEXT, **order_context(job, order, self.options))
        reached(CrashPoint.BEFORE_SEND, order.symbol)
        try:
            answer = self.venue.submit(order, job.permit)
        except Exception as error:  # noqa: BLE001 -- it may have been sent: whatever this was, it settles nothing
            answer = Unknown(f"the adapter raised {type(error).__name__}: {error}")
        reached(CrashPoint.ANSWER_RECEIVED, order.symbol)
        if self.events.wants(Area.EXECUTION):
            data = {"client_order_id": order.client_order_id, "answer": repr(answer)}
            self.events.emit(EventName.DEBUG, area=Area.EXECUTION.value, what="the answer", data=data)
        return answer

    # --------------------------------------------------------------------------------- what became of it

    def _record(self, job: Job, order: Order, answer: Answer) -> Order:
        """Write the answer down. Only the sender knows it, so it counts also when the order was called
        UNKNOWN. If a power cut forgets it, the exchange is asked.
        """
        if isinstance(answer, Acknowledged):
            return self._books().settle(order, answer.report, job.then, durable=job.durable)
        rejected = isinstance(answer, Rejected)
        to = OrderState.REJECTED if rejected else OrderState.UNKNOWN
        detail = f"{answer.code}: {answer.message}" if isinstance(answer, Rejected) else answer.why
        with self.ledger.begin() as unit:
            after = step_if_allowed(unit, order, to, self.clock.now(), detail)
            if self._may_try_again(job, after, answer):
                unit.orders.add(new_order(job, after_refusal(after), self.clock.now()))
        reached(CrashPoint.ANSWER_RECORDED, order.symbol)
        name = EventName.ORDER_FAILED if rejected else EventName.ORDER_UNKNOWN
        self.events.emit(name, **order_fields(after), problem=detail)
        return after

    def _known(self, order: Order) -> Order:
        """Asked about at once if its fate or its trades are unknown: what it filled must not wait for its stop until
        the resolver comes by.
        """
        if not blocks_its_symbol(order):
            return order
        try:
            return self._resolver().look(order)
        except (ExchangeUnavailable, ExchangeRefused) as error:
            self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))
            return order

    def _may_try_again(self, job: Job, order: Order, answer: Answer) -> bool:
        """After a definite refusal that may pass, if there is time to wait for it."""
        if not isinstance(answer, Rejected) or not answer.retryable or order.state is not OrderState.REJECTED:
            return False
        in_time = self.clock.now() + self._backoff(order.attempt, answer) < job.ends_at
        return in_time and order.attempt < self.options.max_attempts

    def _wait_out(self, job: Job, order: Order) -> Order:
        """A resting order gets its time, then it is cancelled and what is left of it asked for anew."""
        if not rests(order) or order.state not in {OrderState.ACKED, OrderState.PARTIALLY_FILLED}:
            return order
        resting = Resting(self.venue, self._books(), self.clock, self.options, self.events, self.pause)
        order = resting.watch(order, min(self.clock.now() + self.options.rest, job.ends_at))
        if not order.state.is_final:
            order = resting.cancel(order, self._follow(job, self._quote(job)))
        return order

    def _follow(self, job: Job, quote: Quote | None) -> Then:
        """Writes the attempt that follows a cancelled order, or says why none does."""

        def write(unit: Unit, order: Order) -> None:
            following = after_rest(job.intent, job.terms, order, quote, self.options)
            now = self.clock.now()
            if isinstance(following, Attempt) and now < job.ends_at:
                unit.orders.add(new_order(job, following, now))
            elif isinstance(following, Remainder) and following.qty > 0:
                fields = order_fields(order)
                self.events.emit(EventName.ORDER_REMAINDER, **fields, rest=following.qty, why=following.why)

        return write

    def _release_dead_man(self, order: Order) -> None:
        """Nothing of it rests any more. If this fails the countdown runs out, and finds nothing."""
        if not rests(order) or order.reduce_only or not order.state.is_final:
            return
        try:
            self.venue.dead_man(order.symbol, 0)
        except (ExchangeUnavailable, ExchangeRefused) as error:
            self.events.emit(EventName.UPKEEP_FAILED, what="the dead-man switch", problem=str(error))

    def _successor(self, job: Job, order: Order, answer: Answer) -> Order | None:
        """The attempt that was written with the end of `order`, once its time has come. None when it is over."""
        refused = isinstance(answer, Rejected) and answer.retryable
        if not (order.state.is_final and (refused or rests(order))):
            return None
        last = self._standing(job)[0][-1]
        if last.attempt != order.attempt + 1 or last.state is not OrderState.INTENT:
            return None
        if isinstance(answer, Rejected):
            self.pause(self._backoff(order.attempt, answer).total_seconds())
        reached(CrashPoint.BEFORE_NEXT_ATTEMPT, order.symbol)
        self._tell_intended(job, last)
        return last

    def _backoff(self, attempt: int, answer: Rejected) -> timedelta:
        """Doubling from the configured wait; longer when the exchange says so."""
        ours = self.options.retry_backoff_ms / 1000 * 2 ** (attempt - 1)
        return timedelta(seconds=max(ours, answer.retry_after_s or 0.0))

    def _report(self, order: Order) -> Ending:
        """What became of an order that was sent before: ask if it is not settled, then say."""
        if not order.state.is_final:
            try:
                order = self._resolver().ask(order)
            except (ExchangeUnavailable, ExchangeRefused) as error:
                self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))
        with self.ledger.read() as unit:
            return conclude(unit.orders.of(order.decision_id))

    def _report_standing(self, job: Job) -> Ending:
        """Somebody else moved the order, or it was abandoned: report it as it stands."""
        orders, _ = self._standing(job)
        return self._report(orders[-1])

    def _conclusion(self, job: Job, order: Order) -> Ending:
        """Without another look at the ledger where this attempt is all there is."""
        if is_all(order):
            return conclude([order])
        with self.ledger.read() as unit:
            return conclude(unit.orders.of(job.decision.decision_id))

    def _books(self) -> Bookkeeper:
        return Bookkeeper(self.ledger, self.venue, self.clock, self.events)

    def _resolver(self) -> Resolver:
        return Resolver(self.ledger, self.venue, self.clock, self.options, self.events)
