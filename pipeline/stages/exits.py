"""Exits: decisions that a position asks for, which go through no chain.

Such a decision has every check's verdict, a permit of its own, and an order that goes the way of all orders. It names
the decision that opened, and ends as soon as its order rests on the exchange (`PROTECTED`) or is settled. What fills
later is booked to it, so that the position says which exit closed it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from pipeline.domain import ids
from pipeline.domain.decisions import Decision, End, Stage, StageRecord, StageResult
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.events import EventName, Events
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Intent, TimeInForce
from pipeline.domain.orders import Order
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.domain.permits import Denied, Permit
from pipeline.domain.ports import Clock, Ledger, Unit
from pipeline.domain.positions import Position
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.outcome import Ending, conclude, is_all
from pipeline.execution.protection import GUARDS, Place, exit_id
from pipeline.execution.router import OrderRouter
from pipeline.stages.ending import ended
from pipeline.stages.opening import OpeningTerms, emit_end, emit_start
from pipeline.stages.validate import Asked, Outside, Validate, read_intent

NOT_ENDED = 500


@dataclass(frozen=True, slots=True)
class Job:
    """An exit that has its permit, and its order as INTENT."""

    decision: Decision
    intent: Intent
    permit: Permit
    order: Order


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

    def make(self, symbol: str, outside: Outside, wanted: Callable[[Unit], Sequence[Place]]) -> None:
        """Open exits of the symbol's position, all at once, and send the order of each in turn, if the governor
        permits.

        `wanted` is asked inside the transaction that nobody else can open an exit of the position in.
        Raises: LedgerUnavailable.
        """
        for job in self._permitted(symbol, outside, wanted):
            self._send(job)

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
                for each in unit.decisions.still_open(now, NOT_ENDED)
                if each.origin.is_exit and each.account == self.terms.account
            ]
        for decision, orders, permit in open_exits:
            if orders:
                self._end(decision, conclude(orders))
            elif permit is None or now >= permit.expires_at:
                self._finish(decision, EndReason.PERMIT_EXPIRED, "nobody sent it while its permit lived")

    def _permitted(
        self, symbol: str, outside: Outside, wanted: Callable[[Unit], Sequence[Place]]
    ) -> Sequence[Job]:
        """Open the exits' decisions with their permits and orders, in one transaction. None of them when somebody
        else has seen to it meanwhile; without those that the governor denies.
        """
        with self.ledger.begin() as unit:
            position = unit.positions.open_of(self.terms.account, symbol)
            if position is None or unit.decisions.lock(position.opened_by) is None:
                return ()
            opened = self._open_each(unit, position, wanted(unit), outside)
        if opened:
            reached(CrashPoint.INTENT_COMMITTED, symbol)
        for step, decision, _ in opened:
            emit_start(self.events, decision)
            self._tell(position, step)
        for step, decision, answer in opened:
            if isinstance(answer, Denied):
                first = answer.first
                told = f"{step.why}; {first.value}, limit {first.limit}"
                self._finish(decision, answer.reason, told)
        return [answer for _, _, answer in opened if isinstance(answer, Job)]

    def _open_each(
        self, unit: Unit, position: Position, places: Sequence[Place], outside: Outside
    ) -> Sequence[tuple[Place, Decision, Job | Denied]]:
        if not places:
            return ()
        strategy = self._strategy(unit, position)
        before = len(unit.decisions.exits_of(position.opened_by))
        opened = []
        for number, step in enumerate(places, before):
            decision = self._opened(position, step, number)
            intent = as_intent(position, step, strategy, self.clock.now())
            opened.append((step, decision, self._open(unit, position, decision, intent, outside)))
        return opened

    def _open(
        self, unit: Unit, position: Position, decision: Decision, intent: Intent, outside: Outside
    ) -> Job | Denied:
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
        return Job(decision, intent, answer, self.router.intend(unit, decision, intent, answer))

    def _strategy(self, unit: Unit, position: Position) -> str:
        opening = opening_intent(unit, position.opened_by)
        return opening.strategy if opening is not None else "protection"

    def _opened(self, position: Position, step: Place, number: int) -> Decision:
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

    def _send(self, job: Job) -> None:
        """What rests or has filled at once ends its decision in the transaction that says so."""
        at_once: list[Decision] = []

        def end(unit: Unit, order: Order) -> None:
            ending, now = conclude([order]), self.clock.now()
            if not (is_all(order) and isinstance(ending, End)):
                return
            if unit.decisions.end(job.decision.decision_id, ending.reason, ending.detail, now):
                at_once.append(ended(job.decision, ending.reason, ending.detail, now))

        ending = self.router.place_intended(job.decision, job.intent, job.permit, job.order, end)
        if at_once:
            emit_end(self.events, at_once[0])
        else:
            self._end(job.decision, ending)

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


def opening_intent(unit: Unit, opener: DecisionId) -> Intent | None:
    """What the opening decision wanted; None for a position that came from elsewhere."""
    record = unit.stages.get(opener, Stage.EVALUATE)
    try:
        return read_intent(record)
    except (InvariantBroken, KeyError, ValueError, ArithmeticError):
        return None
