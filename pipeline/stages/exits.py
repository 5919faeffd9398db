"""Exits: decisions that a position asks for, which go through no chain.

Such a decision has every check's verdict, a permit of its own, and an order that goes the way of all orders. It names
the decision that opened, and ends as soon as its order rests on the exchange (`PROTECTED`) or is settled. What fills
later is booked to it, so that the position says which exit closed it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest

from pipeline.domain import ids
from pipeline.domain.decisions import Decision, End, Stage, StageRecord, StageResult
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.events import EventName, Events
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Intent, TimeInForce
from pipeline.domain.orders import Order
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.domain.permits import Denied
from pipeline.domain.ports import Clock, Ledger, Unit
from pipeline.domain.positions import Position
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.job import Job
from pipeline.execution.outcome import Ending, conclude, is_all
from pipeline.execution.protection import GUARDS, Place, exit_id
from pipeline.execution.router import OrderRouter
from pipeline.stages.ending import ended
from pipeline.stages.opening import OpeningTerms, emit_end, emit_start
from pipeline.stages.validate import Asked, Outside, Validate, read_intent

NOT_ENDED = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """A position as a unit shows it, with the intent that opened it and the decisions of all its exits, oldest first.
    None for the intent of a position that came from elsewhere.
    """

    position: Position
    opening: Intent | None
    exits: Sequence[Decision]


Wanted = Callable[[Unit, Seen | None], Sequence[Place]]
"""Which exits of the position are to be made, by what the unit shows."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """An exit that has its permit, and its order as INTENT."""

    job: Job
    order: Order

    @property
    def decision(self) -> Decision:
        return self.job.decision


Answer = Permitted | Denied


@dataclass(frozen=True, slots=True)
class Opened:
    """Exits that were opened together of the position as it was then; `were_there` counts those that it had before.
    `sending` is the first one's order, if it was claimed with that.
    """

    position: Position
    were_there: int
    each: Sequence[tuple[Place, Decision, Answer]]
    sending: Order | None

    @property
    def permitted(self) -> Sequence[Permitted]:
        return [answer for _, _, answer in self.each if isinstance(answer, Permitted)]


@dataclass(slots=True)
class Settlement:
    """What was written with the exchange's answer to an exit: how its decision ended, the order of the next exit as it
    was claimed, and whether the position stands as it was when nothing comes after.
    """

    ended: Decision | None = None
    sending: Order | None = None
    stands: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """Makes one account's exits. Safe to call twice, at once, anywhere: the ledger is the lock."""

    ledger: Ledger
    clock: Clock
    events: Events
    terms: OpeningTerms
    governor: Validate
    router: OrderRouter
    host: str = field(default_factory=socket.gethostname)

    def make(self, symbol: str, outside: Outside, wanted: Wanted) -> bool:
        """Open exits of the symbol's position, all at once, and send the order of each in turn, if the governor
        permits.

        `wanted` is asked inside the transaction that nobody else can open an exit of the position in. Whether all of
        them wait on the exchange, the only ones of a position that is still the same.
        Raises: LedgerUnavailable.
        """
        opened = self._opened(symbol, outside, wanted)
        return opened is not None and self._send_each(opened)

    def carry_on(self, decision: Decision) -> None:
        """Send what was permitted and never sent. Raises: LedgerUnavailable."""
        with self.ledger.read() as unit:
            permit = unit.permits.of(decision.decision_id)
            intent = read_intent(unit.stages.get(decision.decision_id, Stage.EVALUATE))
        if permit is not None:
            self._end(decision, self.router.place(decision, intent, permit))

    def conclude(self) -> None:
        """End the exits whose order rests or is settled, and those that never came to one.

        Raises: LedgerUnavailable.
        """
        now = self.clock.now()
        with self.ledger.read() as unit:
            open_exits = [
                (each, unit.orders.of(each.decision_id), unit.permits.of(each.decision_id))
                for each in unit.decisions.still_open(self.terms.account, now, NOT_ENDED)
                if each.origin.is_exit
            ]
        for decision, orders, permit in open_exits:
            if orders:
                self._end(decision, conclude(orders))
            elif permit is None or now >= permit.expires_at:
                self._finish(decision, EndReason.PERMIT_EXPIRED, "nobody sent it while its permit lived")

    def _opened(self, symbol: str, outside: Outside, wanted: Wanted) -> Opened | None:
        """Open the exits' decisions with their permits and orders, and claim the first, in one durable transaction.
        None when nothing is wanted.
        """
        with self.ledger.begin(durable=True) as unit:
            position = unit.positions.open_of(self.terms.account, symbol)
            is_known = position is not None and unit.decisions.lock(position.opened_by) is not None
            found = None if position is None else seen(unit, position)
            places = wanted(unit, found)
            if found is None or not is_known or not places:
                return None
            opened = self._open_each(unit, found, places, outside)
        reached(CrashPoint.INTENT_COMMITTED, symbol)
        self._tell_opened(opened)
        return opened

    def _open_each(self, unit: Unit, found: Seen, places: Sequence[Place], outside: Outside) -> Opened:
        position, before = found.position, len(found.exits)
        strategy = found.opening.strategy if found.opening is not None else "protection"
        each: list[tuple[Place, Decision, Answer]] = []
        for number, step in enumerate(places, before):
            decision = self._decision(position, step, number)
            intent = as_intent(position, step, strategy, self.clock.now())
            each.append((step, decision, self._open(unit, position, decision, intent, outside)))
        first = next((answer for _, _, answer in each if isinstance(answer, Permitted)), None)
        return Opened(position, before, each, self._claimed(unit, first))

    def _claimed(self, unit: Unit, next_: Permitted | None) -> Order | None:
        """Claimed in the unit's transaction if it can be; what is no guard is looked into first."""
        if next_ is None or not next_.order.leg.guards:
            return None
        return self.router.claim_intended(unit, next_.job, next_.order)

    def _tell_opened(self, opened: Opened) -> None:
        for step, decision, _ in opened.each:
            emit_start(self.events, decision)
            self._tell(opened.position, step)
        for step, decision, answer in opened.each:
            if isinstance(answer, Denied):
                first = answer.first
                told = f"{step.why}; {first.value}, limit {first.limit}"
                self._finish(decision, answer.reason, told)

    def _open(
        self, unit: Unit, position: Position, decision: Decision, intent: Intent, outside: Outside
    ) -> Answer:
        unit.decisions.open(decision)
        unit.stages.add(self._record(decision, intent))
        asked = Asked(
            decision=decision,
            intent=intent,
            outside=outside,
            in_universe=True,
            bar_jump_bps=None,
            guarded=position,
        )
        answer = self.governor.judge(unit, asked)
        if isinstance(answer, Denied):
            return answer
        unit.permits.add(answer)
        order = self.router.intend(unit, decision, intent, answer)
        return Permitted(Job(decision, intent, answer), order)

    def _decision(self, position: Position, step: Place, number: int) -> Decision:
        now, terms = self.clock.now(), self.terms
        return Decision(
            decision_id=exit_id(position, number, now),
            symbol=position.symbol,
            slot=now.replace(microsecond=0),
            origin=step.origin,
            account=terms.account,
            mode=terms.mode,
            config_hash=terms.config_hash,
            opener=position.opened_by,
            enqueued_at=now,
            expires_at=now + terms.cadence,
            deadline_at=now + max(terms.cadence, terms.deadline),
        )

    def _record(self, decision: Decision, intent: Intent) -> StageRecord:
        """What the exit is, where the trace and a second sender look for it."""
        return StageRecord(
            decision_id=decision.decision_id,
            stage=Stage.EVALUATE,
            task_id=ids.task_id(decision.decision_id, Stage.EVALUATE),
            host=self.host,
            worker="protection",
            pid=os.getpid(),
            attempt=1,
            queue_wait_ms=None,
            started_at=decision.enqueued_at,
            run_ms=0.0,
            result=StageResult.PASSED,
            output={"intent": intent.as_record(), "opener": decision.opener, "why": intent.reason},
        )

    def _tell(self, position: Position, step: Place) -> None:
        if step.type is GUARDS.get(step.leg) or not step.leg.guards:
            return
        self.events.emit(
            EventName.UNPROTECTED,
            position_id=position.position_id,
            symbol=position.symbol,
            opened_by=position.opened_by,
            why=step.why,
        )

    def _send_each(self, opened: Opened) -> bool:
        """In turn. Each is claimed in the transaction that settles the one before, where that one waits."""
        permitted, sending, stands = opened.permitted, opened.sending, False
        are_all = not opened.were_there and len(permitted) == len(opened.each)
        for each, following in zip_longest(permitted, permitted[1:]):
            settled = self._send(opened.position, each, sending, following)
            sending, stands = settled.sending, settled.stands
            are_all = are_all and settled.ended is not None
        return are_all and stands

    def _send(
        self, position: Position, each: Permitted, sending: Order | None, following: Permitted | None
    ) -> Settlement:
        """What rests or has filled at once ends its decision in the transaction that says so."""
        settled, decision = Settlement(), each.decision

        def settle(unit: Unit, order: Order) -> None:
            ending, now = conclude([order]), self.clock.now()
            if not (is_all(order) and isinstance(ending, End)):
                return
            if unit.decisions.end(decision.decision_id, ending.reason, ending.detail, now):
                settled.ended = ended(decision, ending.reason, ending.detail, now)
            if order.waits and following is not None:
                settled.sending = self._claimed(unit, following)
            elif order.waits:
                settled.stands = unit.positions.lock(position.position_id) == position

        job = replace(each.job, then=settle, durable=following is not None)
        ending = self.router.place_intended(job, each.order, sending)
        if settled.ended is not None:
            emit_end(self.events, settled.ended)
        else:
            self._end(decision, ending)
        return settled

    def _end(self, decision: Decision, ending: Ending) -> None:
        """An exit whose order is out with an unknown fate stays open; the resolver and the next cycle see to it."""
        if isinstance(ending, End):
            self._finish(decision, ending.reason, ending.detail)

    def _finish(self, decision: Decision, reason: Reason, detail: str) -> None:
        """Not durable (docs/decisions/0009): an end that a power cut forgets is made again by the next cycle."""
        now = self.clock.now()
        with self.ledger.begin() as unit:
            locked = unit.decisions.lock(decision.decision_id)
            if locked is None or not locked.is_open:
                return
            unit.decisions.end(decision.decision_id, reason, detail, now)
        emit_end(self.events, ended(decision, reason, detail, now))


def as_intent(position: Position, step: Place, strategy: str, now: datetime) -> Intent:
    """The order that takes the position away."""
    return Intent(
        symbol=position.symbol,
        leg=step.leg,
        side=position.side.opposite,
        type=step.type,
        tif=TimeInForce.GTC if step.type.waits else TimeInForce.IOC,
        qty=step.qty,
        limit_price=step.price,
        reduce_only=True,
        decision_price=step.price,
        priced_at=now,
        stop_loss=None,
        take_profit=None,
        strategy=strategy,
        score=Decimal(1),
        reason=step.why,
    )


def seen(unit: Unit, position: Position) -> Seen:
    """What the unit shows of a position."""
    opener = position.opened_by
    return Seen(position, _opening_intent(unit, opener), unit.decisions.exits_of(opener))


def _opening_intent(unit: Unit, opener: DecisionId) -> Intent | None:
    record = unit.stages.get(opener, Stage.EVALUATE)
    try:
        return read_intent(record)
    except (InvariantBroken, KeyError, ValueError, ArithmeticError):
        return None
