"""Placing a permitted order: at most one send, whatever crashes.

The ledger is the lock. An order is written as INTENT; whoever moves it to SENDING, in the transaction
that also uses up its permit, is the only one who may send it, once. A second delivery of the same
message finds the order and asks the exchange about it instead.

A permit allows one order. Only a listed, definite refusal proves that there is still none, so only then
may the same permit cover another attempt, under a new client order id, while it lives; see
`gate.uncovered`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Decision, End
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, UnknownDecision
from pipeline.domain.events import EventName, Events
from pipeline.domain.ids import client_order_id
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Acknowledged, Answer, Order, OrderState, Rejected, Unknown, may_step
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit, PermitState
from pipeline.domain.ports import Clock, Ledger, Unit, Venue
from pipeline.domain.signals import Side
from pipeline.execution.booking import Bookkeeper, as_it_stands, order_fields
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.gate import PermitCheck, stop_reason, uncovered
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.outcome import Ending, conclude
from pipeline.execution.resolver import Resolver, abandon, blocks_its_symbol


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done: one leg of one decision, with its permit."""

    decision: Decision
    intent: Intent
    permit: Permit

    @property
    def terms(self) -> OrderTerms:
        return OrderTerms.of(
            self.intent, self.decision.decision_id, self.decision.account, self.decision.mode
        )


@dataclass(frozen=True, slots=True)
class OrderRouter:
    """Places orders. `permit_problem` says why a permit does not allow an order; `pause` waits between
    attempts.
    """

    ledger: Ledger
    venue: Venue
    clock: Clock
    permit_problem: PermitCheck
    options: ExecutionOptions
    events: Events
    pause: Callable[[float], None] = field(default=time.sleep)

    def place(self, decision: Decision, intent: Intent, permit: Permit) -> Ending:
        """Place the intent's order, or learn what became of it if it was sent before. Safe to call
        twice, anywhere.

        Returns how the decision ends, or `Unresolved` while the resolver must go on asking.
        Raises: LedgerUnavailable; UnknownDecision; InvariantBroken when the exchange contradicts the order.
        """
        job = Job(decision, intent, permit)
        orders, blocking = self._standing(job)
        last = orders[-1] if orders else None
        if last is not None and last.state is not OrderState.INTENT:
            return self._report(last)
        problem = self._problem(job, blocking)
        if problem is not None:
            return self._give_up(job, last, problem)
        order = last or self._intend(job, attempt=1)
        return self._carry_out(job, order) if order else self._report_standing(job)

    # --------------------------------------------------------------------------------- before it is sent

    def _standing(self, job: Job) -> tuple[Sequence[Order], Sequence[Order]]:
        """The leg's attempts so far, and other decisions' orders on the symbol whose fate is open."""
        with self.ledger.read() as unit:
            mine = unit.orders.of(job.decision.decision_id)
            others = unit.orders.unsettled(job.decision.account, job.intent.symbol)
        blocking = [o for o in others if o.decision_id != job.decision.decision_id and blocks_its_symbol(o)]
        return [order for order in mine if order.leg is job.intent.leg], blocking

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
        return problem or self._still_blocked(blocking)

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

    def _intend(self, job: Job, attempt: int) -> Order | None:
        """Write the order down. None when somebody else has.

        Not durable: a power cut that forgets an order that was never sent does no harm.
        """
        order = _new_order(job, attempt, self.clock.now())
        with self.ledger.begin() as unit:
            added = unit.orders.add(order)
            reached(CrashPoint.INTENT_UNCOMMITTED)
        reached(CrashPoint.INTENT_COMMITTED)
        if not added:
            return None
        name = EventName.BUY_ORDER if order.side is Side.BUY else EventName.SELL_ORDER
        self.events.emit(name, **order_fields(order), strategy=job.intent.strategy, reason=job.intent.reason)
        return order

    # ---------------------------------------------------------------------------------------- sending it

    def _carry_out(self, job: Job, order: Order) -> Ending:
        following: Order | None = order
        while following is not None:
            order = following
            sending = self._claim(job, order)
            if sending is None:
                return self._report_standing(job)
            answer = self._submit(job, sending)
            order = self._record(sending, answer)
            following = self._next_attempt(job, order, answer)
        return self._conclusion(job)

    def _claim(self, job: Job, order: Order) -> Order | None:
        """Become the only one who may send `order`. None when it must not be sent, or somebody else has it.

        One durable transaction: the decision is open and in time, no switch is on, the permit is used up
        by this, and the order is SENDING with our fence and the time that will be signed.
        """
        with self.ledger.begin(durable=True) as unit:
            now = self.clock.now()
            decision = unit.decisions.lock(job.decision.decision_id)
            if decision is None:
                raise UnknownDecision(f"{job.decision.decision_id} is not in the ledger; nothing was sent")
            stop = stop_reason(unit, decision, job.intent, now) or uncovered(unit, order, job.permit, now)
            if stop is not None:
                abandon(unit, order, unit.permits.of(order.decision_id, order.leg), stop, now)
                return None
            sending = unit.orders.step(order, OrderState.SENDING, now, fence=uuid.uuid4().hex, sent_at=now)
            reached(CrashPoint.CLAIM_UNCOMMITTED)
        reached(CrashPoint.CLAIM_COMMITTED)
        return sending

    def _submit(self, job: Job, order: Order) -> Answer:
        """Exactly one request. Nothing below repeats it."""
        self.events.emit(EventName.ORDER_CONTEXT, **self._context(job, order))
        reached(CrashPoint.BEFORE_SEND)
        try:
            answer = self.venue.submit(order, job.permit)
        except Exception as error:  # noqa: BLE001 -- it may have been sent: whatever this was, it settles nothing
            answer = Unknown(f"the adapter raised {type(error).__name__}: {error}")
        reached(CrashPoint.ANSWER_RECEIVED)
        return answer

    def _context(self, job: Job, order: Order) -> dict[str, Any]:
        return {
            "intent_id": f"{order.decision_id}.{order.leg}",
            "decision_id": order.decision_id,
            "client_order_id": order.client_order_id,
            "permit_id": order.permit_id,
            "symbol": order.symbol,
            "side": order.side.value,
            "qty": order.qty,
            "limit_px": order.limit_price,
            "quote_budget": job.permit.reserved,
            "notional": job.intent.notional,
            "tif": order.tif.value,
            "slippage_bps": self.options.slippage_bps,
            "min_notional": job.intent.min_notional,
            "max_retries": self.options.max_attempts - 1,
            "retry_backoff_ms": self.options.retry_backoff_ms,
            "attempt": order.attempt,
            "attempt_start_ts": order.sent_at,
        }

    # --------------------------------------------------------------------------------- what became of it

    def _record(self, order: Order, answer: Answer) -> Order:
        """Write the answer down. Only the sender knows it, so it counts also when the order was called
        UNKNOWN.
        """
        if isinstance(answer, Acknowledged):
            return self._books().settle(order, answer.report)
        rejected = isinstance(answer, Rejected)
        to = OrderState.REJECTED if rejected else OrderState.UNKNOWN
        detail = f"{answer.code}: {answer.message}" if isinstance(answer, Rejected) else answer.why
        with self.ledger.begin(durable=True) as unit:
            after = _step_if_allowed(unit, order, to, self.clock.now(), detail)
        reached(CrashPoint.ANSWER_RECORDED)
        name = EventName.ORDER_FAILED if rejected else EventName.ORDER_UNKNOWN
        self.events.emit(name, **order_fields(after), problem=detail)
        return after

    def _next_attempt(self, job: Job, order: Order, answer: Answer) -> Order | None:
        """After a definite refusal that may pass: wait, and write down one more attempt. None when it is
        over.
        """
        if not isinstance(answer, Rejected) or not answer.retryable or order.state is not OrderState.REJECTED:
            return None
        if order.attempt >= self.options.max_attempts:
            return None
        wait = self._backoff(order.attempt, answer)
        if self.clock.now() + wait >= min(job.permit.expires_at, job.decision.deadline_at):
            return None
        self.pause(wait.total_seconds())
        reached(CrashPoint.BEFORE_NEXT_ATTEMPT)
        return self._intend(job, order.attempt + 1)

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

    def _conclusion(self, job: Job) -> Ending:
        with self.ledger.read() as unit:
            return conclude(unit.orders.of(job.decision.decision_id))

    def _books(self) -> Bookkeeper:
        return Bookkeeper(self.ledger, self.venue, self.clock, self.events)

    def _resolver(self) -> Resolver:
        return Resolver(self.ledger, self.venue, self.clock, self.options, self.events)


def _new_order(job: Job, attempt: int, now: datetime) -> Order:
    terms = job.terms
    return Order(
        client_order_id=client_order_id(terms.account, terms.decision_id, terms.leg, attempt),
        decision_id=terms.decision_id,
        leg=terms.leg,
        attempt=attempt,
        account=terms.account,
        mode=terms.mode,
        permit_id=job.permit.permit_id,
        symbol=terms.symbol,
        side=terms.side,
        type=terms.type,
        tif=terms.tif,
        qty=terms.qty,
        limit_price=terms.limit_price,
        reduce_only=terms.reduce_only,
        decision_price=job.intent.decision_price,
        created_at=now,
    )


def _step_if_allowed(unit: Unit, order: Order, to: OrderState, now: datetime, detail: str) -> Order:
    """Take the step from wherever the order stands by now, if the table allows it from there."""
    while may_step(order.state, to):
        stepped = unit.orders.step(order, to, now, detail=detail)
        if stepped is not None:
            return stepped
        order = as_it_stands(unit, order)
    return order
