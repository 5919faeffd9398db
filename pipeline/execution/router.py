"""Placing a permitted order: at most one send, whatever crashes.

The ledger is the lock. An order is written as INTENT; whoever moves it to SENDING, in the transaction
that also uses up its permit, is the only one who may send it, once. That is the transaction that writes it
where nobody outside is asked in between (see `claiming`). A second delivery of the same message finds the
order and asks the exchange about it instead.

A permit allows one order. Another attempt, under a new client order id, asks for what no earlier one can
fill any more: after a listed, definite refusal, or when a resting order was cancelled and is final; and only
while the permit lives. See `attempts` and `gate.uncovered`. It is written as INTENT together with the end of
the one before, so that its worst case counts without a gap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Decision, End
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable
from pipeline.domain.events import Area, EventName, Events
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order, OrderState, Unknown
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Permit, PermitState
from pipeline.domain.ports import Clock, Ledger, Quote, Unit, Venue
from pipeline.domain.signals import Side
from pipeline.execution.aftermath import Aftermath, Answered
from pipeline.execution.attempts import (
    beyond_bound,
    first_attempt,
    is_resting_kind,
    needs_dead_man,
    needs_quote,
)
from pipeline.execution.booking import order_fields
from pipeline.execution.claiming import claim, locked, ours
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.gate import PermitCheck
from pipeline.execution.job import Found, Job, find, new_order, order_context
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.outcome import Ending, conclude, is_all
from pipeline.execution.resolver import Resolver, abandon, blocks_its_symbol


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
        Raises: LedgerUnavailable; UnknownDecision, also of what is another account's; InvariantBroken when the
                exchange contradicts the order.
        """
        return self.finish(self.begin(decision, intent, permit, found))

    def begin(
        self, decision: Decision, intent: Intent, permit: Permit, found: Found | None = None
    ) -> Ending | Answered:
        """The same up to the answer that the order has filled whole: what is left then may wait for `finish`."""
        begun = self._begun(Job(ours(decision, self.venue.account), intent, permit), found)
        while isinstance(begun, Answered) and not begun.is_whole:
            begun = self._go_on(begun)
        return begun

    def finish(self, begun: Ending | Answered) -> Ending:
        """Write down what was answered. Returns and raises as `place` does."""
        while isinstance(begun, Answered):
            begun = self._go_on(begun)
        return begun

    def _begun(self, job: Job, found: Found | None) -> Ending | Answered:
        orders, blocking = self._standing(job) if found is None else found
        last = orders[-1] if orders else None
        if last is not None and last.state is not OrderState.INTENT:
            return self._report(last)
        problem = self._problem(job, blocking)
        if problem is not None:
            return self._give_up(job, last, problem)
        return self._carry_out(job, last) if last is not None else self._place_first(job)

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
        return claim(unit, locked(unit, job, self.venue.account), job, order, self.clock.now())

    def place_intended(self, job: Job, order: Order, sending: Order | None = None) -> Ending:
        """Place what `intend` has written, as `place` would; nobody is asked what became of it before. `sending` is
        the order as `claim_intended` has committed it.
        """
        if sending is not None:
            reached(CrashPoint.CLAIM_COMMITTED, order.symbol)
            self._tell_intended(job, order)
            return self.finish(self._send(job, sending))
        problem = self._problem(job, ())
        if problem is not None:
            return self._give_up(job, order, problem)
        self._tell_intended(job, order)
        return self.finish(self._carry_out(job, order))

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

    def _place_first(self, job: Job) -> Ending | Answered:
        quote = self._quote(job) if is_resting_kind(job.terms.type, job.terms.tif) else None
        order = new_order(job, first_attempt(job.terms, quote, self.options), self.clock.now())
        if needs_quote(order) or needs_dead_man(order):
            return self._carry_out(job, order) if self._intend(job, order) else self._report_standing(job)
        sending = self._intend_and_claim(job, order)
        return self._report_standing(job) if sending is None else self._send(job, sending)

    def _intend(self, job: Job, order: Order) -> bool:
        """Write the first attempt down. False when somebody else has.

        Not durable: a power cut that forgets an order that was never sent does no harm.
        """
        with self.ledger.begin() as unit:
            added = unit.orders.add(order)
            reached(CrashPoint.INTENT_UNCOMMITTED, order.symbol)
        reached(CrashPoint.INTENT_COMMITTED, order.symbol)
        if added:
            self._tell_intended(job, order)
        return added

    def _intend_and_claim(self, job: Job, order: Order) -> Order | None:
        """Both steps in one unit, where nobody is asked between them. None when it must not be sent, or somebody
        else has written it.
        """
        with self.ledger.begin(durable=True) as unit:
            # Before the order, which refers to it: no two wait crosswise.
            decision = locked(unit, job, self.venue.account)
            added = unit.orders.add(order)
            reached(CrashPoint.INTENT_UNCOMMITTED, order.symbol)
            sending = claim(unit, decision, job, order, self.clock.now()) if added else None
        if sending is not None:
            reached(CrashPoint.CLAIM_COMMITTED, order.symbol)
        if added:
            self._tell_intended(job, order)
        return sending

    def _tell_intended(self, job: Job, order: Order) -> None:
        name = EventName.BUY_ORDER if order.side is Side.BUY else EventName.SELL_ORDER
        self.events.emit(name, **order_fields(order), strategy=job.intent.strategy, reason=job.intent.reason)

    def _quote(self, job: Job) -> Quote | None:
        try:
            return self.quote(job.terms.symbol)
        except (ExchangeUnavailable, ExchangeRefused):
            return None

    # ---------------------------------------------------------------------------------------- sending it

    def _carry_out(self, job: Job, order: Order) -> Ending | Answered:
        problem = self._unsendable(job, order)
        if problem is not None:
            return self._give_up(job, order, problem)
        sending = self._claim(job, order)
        return self._report_standing(job) if sending is None else self._send(job, sending)

    def _go_on(self, answered: Answered) -> Ending | Answered:
        """Write the answer down, and place what follows it under its permit."""
        order, following = self._aftermath().of(answered)
        if following is None:
            return self._conclusion(answered.job, order)
        self._tell_intended(answered.job, following)
        return self._carry_out(answered.job, following)

    def _unsendable(self, job: Job, order: Order) -> End | None:
        """What the ledger cannot know: where the market stands, and whether the exchange would clean up."""
        if needs_quote(order):
            return self._outside_bound(job)
        if not needs_dead_man(order):
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
            sending = claim(unit, locked(unit, job, self.venue.account), job, order, self.clock.now())
        if sending is not None:
            reached(CrashPoint.CLAIM_COMMITTED, order.symbol)
        return sending

    def _send(self, job: Job, order: Order) -> Answered:
        """What is claimed. Exactly one request; nothing below repeats it."""
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
        return Answered(job, order, answer, self.clock.now())

    # --------------------------------------------------------------------------------- what became of it

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

    def _aftermath(self) -> Aftermath:
        return Aftermath(
            self.ledger, self.venue, self.clock, self.options, self.events, self.pause, self._quote
        )

    def _resolver(self) -> Resolver:
        return Resolver(self.ledger, self.venue, self.clock, self.options, self.events)
