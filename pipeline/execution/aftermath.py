"""What an exchange's answer to an order leads to: it is booked, asked about where it is unclear, a resting order gets
its time, and the attempt that follows is written.

Nothing here sends an order. Until the answer is written down the order stays SENDING, its worst case goes on counting,
and whoever dies with the answer in hand leaves the order to the resolver: so this may wait behind other orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.domain.orders import Acknowledged, Answer, Order, OrderState, Rejected
from pipeline.domain.ports import Clock, Ledger, Quote, Unit, Venue
from pipeline.execution.attempts import (
    Attempt,
    Remainder,
    after_refusal,
    after_rest,
    needs_dead_man,
    rests,
)
from pipeline.execution.booking import Bookkeeper, Then, order_fields, step_if_allowed
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.job import Job, find, new_order
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.resolver import Resolver, blocks_its_symbol
from pipeline.execution.resting import Resting


@dataclass(frozen=True, slots=True)
class Answered:
    """An order, as its sender claimed it, with the answer that came `at`: nobody has written it down yet."""

    job: Job
    order: Order
    answer: Answer
    at: datetime

    @property
    def is_whole(self) -> bool:
        """Whether it filled to the last, so that nothing more will be sent for it."""
        return isinstance(self.answer, Acknowledged) and self.answer.report.state is OrderState.FILLED


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`pause` waits between attempts; `quote` tells the best bid and ask, None when nobody does."""

    ledger: Ledger
    venue: Venue
    clock: Clock
    options: ExecutionOptions
    events: Events
    pause: Callable[[float], None]
    quote: Callable[[Job], Quote | None]

    def of(self, answered: Answered) -> tuple[Order, Order | None]:
        """The order as it stands then, and the attempt that is to be placed now, if one follows.

        Raises: LedgerUnavailable; InvariantBroken when the exchange contradicts the order.
        """
        job, answer = answered.job, answered.answer
        order = self._wait_out(job, self._known(self._record(answered)))
        following = self._successor(job, order, answer)
        if following is None:
            self._release_dead_man(order)
        return order, following

    def _record(self, answered: Answered) -> Order:
        """Write the answer down. Only the sender knows it, so it counts also when the order was called
        UNKNOWN. If a power cut forgets it, the exchange is asked.
        """
        job, order, answer = answered.job, answered.order, answered.answer
        if isinstance(answer, Acknowledged):
            return self._books().settle(order, answer.report, job.then, at=answered.at, durable=job.durable)
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
        resolver = Resolver(self.ledger, self.venue, self.clock, self.options, self.events)
        try:
            return resolver.look(order)
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
            order = resting.cancel(order, self._follow(job, self.quote(job)))
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
        if not needs_dead_man(order) or not order.state.is_final:
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
        with self.ledger.read() as unit:
            last = find(unit, job.decision, job.intent).attempts[-1]
        if last.attempt != order.attempt + 1 or last.state is not OrderState.INTENT:
            return None
        if isinstance(answer, Rejected):
            self.pause(self._backoff(order.attempt, answer).total_seconds())
        reached(CrashPoint.BEFORE_NEXT_ATTEMPT, order.symbol)
        return last

    def _backoff(self, attempt: int, answer: Rejected) -> timedelta:
        """Doubling from the configured wait; longer when the exchange says so."""
        ours = self.options.retry_backoff_ms / 1000 * 2 ** (attempt - 1)
        return timedelta(seconds=max(ours, answer.retry_after_s or 0.0))

    def _books(self) -> Bookkeeper:
        return Bookkeeper(self.ledger, self.venue, self.clock, self.events)
