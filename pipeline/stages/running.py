"""Running one stage of a decision, safely: delivered twice, killed anywhere, late or with a bug inside.

The rules, in the order in which they are kept:

1. A stage whose result is stored is not run again; its hand-off is made again, for the message after it may be lost.
2. A message delivered too often ends its decision: whatever kills its workers must not kill them for ever.
3. A stage works outside any transaction, then concludes inside one: its rows, its result and, if it ends the
   decision, the outcome are committed together or not at all.
4. What a stage raises ends the decision with the stack trace; `Transient` errors go back to the caller instead.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.domain import timing
from pipeline.domain.decisions import (
    Advance,
    Decision,
    Delivery,
    End,
    Stage,
    StageEnd,
    StageRecord,
    StageResult,
)
from pipeline.domain.errors import Transient, UnknownDecision
from pipeline.domain.events import EventName, Events
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.domain.ports import Clock, Ledger, Unit
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.stages.ending import end_if_settled, ended
from pipeline.stages.opening import emit_end
from pipeline.stages.telling import Thresholds, in_words, tell_slowness

DETAIL_LENGTH = 4000
REPEATED = 2
"""Not the first: who made that hand-off may have been killed before it, or behind it. See `Runner._mind_replay`."""

DONE_BY_ANOTHER = Advance({})
"""Another delivery has concluded the stage meanwhile; it may have died before its hand-off."""

Conclusion = Callable[[Unit], StageEnd]
"""What a stage does inside the transaction, once its work outside is done."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A conclusion that comes later, in this process: `leave` is given what is to be done then, `rest` is the stage's
    own part of it.
    """

    leave: Callable[[Callable[[], None]], None]
    rest: Callable[[], Conclusion]


StageFunction = Callable[[Decision, StageRecord | None], Conclusion | Behind]
"""A stage: from the decision and the record of the stage before it to a conclusion."""


@dataclass(frozen=True, slots=True)
class Run:
    """One delivery of one stage of one decision; `began` on the performance counter."""

    decision: Decision
    stage: Stage
    delivery: Delivery
    began: float


@dataclass(frozen=True, slots=True)
class Handoff:
    """The message that is to be published now; `attempt` is beyond 1 when somebody has handed it on before, perhaps."""

    stage: Stage
    decision: Decision
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs the stages of one account's decisions against one ledger. `overrun_errors` are what the process raises in a
    stage that takes too long.
    """

    ledger: Ledger
    clock: Clock
    events: Events
    account: str
    stages: dict[Stage, StageFunction]
    max_deliveries: int
    overrun_errors: tuple[type[Exception], ...] = field(default=())
    thresholds: Thresholds = field(default_factory=Thresholds)

    def run(
        self, stage: Stage, decision_id: DecisionId, delivery: Delivery, symbol: str | None = None
    ) -> Handoff | None:
        """Run one stage. Returns the hand-off to be made now, or None when nothing travels on.

        Raises: UnknownDecision when the ledger has no such decision, or it is about another symbol or another
                account's: nothing is done with that one, and its own account's sweeper finds it;
                Transient when nothing could be done and the message should come again.
        """
        decision, records = self._known(decision_id, symbol)
        done = records.get(stage)
        if done is not None or not decision.is_open:
            if done is not None or not _was_handed_on(stage, records):
                self._mind_replay(decision, stage, delivery)
            return self._hand_on_again(decision, stage, records)
        before = _before(stage, records)
        if before is None and stage is not Stage.FETCH:
            self._refuse_out_of_turn(decision, stage, delivery)
            return None
        if delivery.attempt - delivery.retries > self.max_deliveries:
            self._give_up(decision, delivery)
            return None
        with timing.collected():
            return self._work(decision, stage, delivery, before)

    def fail(self, decision_id: DecisionId, reason: Reason, detail: str) -> None:
        """End a decision from outside its stages, unless it has ended, an order of it is out, or it is another
        account's: nobody can tell from here how that one stands.
        """
        with self.ledger.begin(durable=True) as unit:
            decision = unit.decisions.lock(decision_id)
            if decision is None or not decision.is_open:
                return
            foreign = self._foreign(decision)
            told = detail[-DETAIL_LENGTH:]
            gone = None if foreign else end_if_settled(unit, decision, reason, told, self.clock.now())
        if foreign:
            self.events.emit(
                EventName.SECURITY, decision_id=decision_id, what=f"{foreign}; it stays open", problem=detail
            )
        if gone is not None:
            emit_end(self.events, gone)

    def _known(
        self, decision_id: DecisionId, symbol: str | None
    ) -> tuple[Decision, dict[Stage, StageRecord]]:
        with self.ledger.read() as unit:
            decision = unit.decisions.get(decision_id)
            records = {record.stage: record for record in unit.stages.of(decision_id)}
        if decision is None:
            raise UnknownDecision(f"the ledger has no decision {decision_id}; its message is dropped")
        foreign = self._foreign(decision)
        if foreign:
            raise UnknownDecision(f"{foreign}; its message is dropped")
        if symbol is not None and symbol != decision.symbol:
            raise UnknownDecision(
                f"{decision_id} is about {decision.symbol}, not {symbol}; its message is dropped"
            )
        return decision, records

    def _foreign(self, decision: Decision) -> str | None:
        """Whose decision it is, when it is not ours. Each account has a Redis of its own: see docs/security.md."""
        if decision.account == self.account:
            return None
        return f"{decision.decision_id} is of account {decision.account}, and this process works for {self.account}"

    def _hand_on_again(
        self, decision: Decision, stage: Stage, records: dict[Stage, StageRecord]
    ) -> Handoff | None:
        after = stage.next
        wanted = decision.is_open and after is not None and after not in records
        self.events.emit(
            EventName.STAGE_REPEATED, decision_id=decision.decision_id, stage=stage.value, handed_on=wanted
        )
        return Handoff(after, decision, REPEATED) if wanted and after is not None else None

    def _mind_replay(self, decision: Decision, stage: Stage, delivery: Delivery) -> None:
        """What the broker delivers again, and what is handed on again, says so; and what was handed on comes for the
        first time even when its decision has ended meanwhile. This was somebody else.
        """
        if stage is Stage.EXECUTE and delivery.attempt == 1:
            self.events.emit(
                EventName.SECURITY,
                decision_id=decision.decision_id,
                stage=stage.value,
                task_id=delivery.task_id,
                what="an execute message came twice as if it were the first, or unasked; nothing was sent",
            )

    def _refuse_out_of_turn(self, decision: Decision, stage: Stage, delivery: Delivery) -> None:
        """A message for a stage whose turn has not come was made by hand, or by somebody who means harm."""
        self.events.emit(
            EventName.SECURITY,
            decision_id=decision.decision_id,
            stage=stage.value,
            task_id=delivery.task_id,
            what="a message for a stage whose turn has not come; nothing was done",
        )

    def _give_up(self, decision: Decision, delivery: Delivery) -> None:
        detail = (
            f"delivered {delivery.attempt} times (limit {self.max_deliveries}) without a result: its worker "
            f"dies or its message is lost each time; last task {delivery.task_id}"
        )
        self.fail(decision.decision_id, EndReason.KEEPS_DYING, detail)

    def _work(
        self, decision: Decision, stage: Stage, delivery: Delivery, before: StageRecord | None
    ) -> Handoff | None:
        run = Run(decision, stage, delivery, time.perf_counter())
        finish = self._guarded(run, lambda: self._worked(run, before))
        after = stage.next
        if not isinstance(finish, Advance) or after is None:
            return None
        return Handoff(after, decision, REPEATED if finish is DONE_BY_ANOTHER else 1)

    def _worked(self, run: Run, before: StageRecord | None) -> StageEnd | None:
        conclude = self.stages[run.stage](run.decision, before)
        if not isinstance(conclude, Behind):
            return self._conclude(run, conclude)
        rest, left_at = conclude.rest, time.perf_counter()
        conclude.leave(lambda: self._come_back(run, rest, left_at))
        return None

    def _come_back(self, run: Run, rest: Callable[[], Conclusion], left_at: float) -> None:
        """To a stage whose message is done with. Nobody delivers it again: what cannot be done now is left to upkeep,
        which asks about every order that is not settled.
        """
        timing.add("other entries", _elapsed_ms(left_at))
        try:
            self._guarded(run, lambda: self._conclude(run, rest()))
        except Exception as error:  # noqa: BLE001 - whoever calls this has others to come back to
            self.events.emit(
                EventName.UPKEEP_FAILED,
                decision_id=run.decision.decision_id,
                what=f"the rest of {run.stage}",
                problem=f"{type(error).__name__}: {error}",
            )

    def _guarded(self, run: Run, work: Callable[[], StageEnd | None]) -> StageEnd | None:
        """What it raises ends the decision, but for what may pass. Raises: Transient."""
        try:
            return work()
        except Transient:
            raise
        except self.overrun_errors as error:
            self._fail(run, EndReason.TIME_LIMIT, error, f"{run.stage} took too long: {error!r}")
        except Exception as error:  # noqa: BLE001 - whatever a stage raises must end its decision, with the trace
            self._fail(run, EndReason.STAGE_RAISED, error, f"{run.stage}: {traceback.format_exc()}")
        return None

    def _fail(self, run: Run, reason: EndReason, error: Exception, detail: str) -> None:
        self._tell(run, End(reason, repr(error)))
        self.fail(run.decision.decision_id, reason, detail)

    def _conclude(self, run: Run, conclude: Conclusion) -> StageEnd | None:
        """Commit the stage's end. None when another delivery had concluded it first.

        It need not wait for the disk: the transaction that sends an order does, and takes everything with it
        that was committed before (docs/decisions/0006); a stage whose end a power cut forgets runs again.
        """
        decision, stage = run.decision, run.stage
        gone: Decision | None = None
        with self.ledger.begin() as unit:
            locked = unit.decisions.lock(decision.decision_id)
            if locked is None or not locked.is_open:
                return None
            if unit.stages.get(decision.decision_id, stage) is not None:
                return DONE_BY_ANOTHER
            finish = conclude(unit)
            if isinstance(finish, (Advance, End)):
                unit.stages.add(_record(run, finish))
            if isinstance(finish, End):
                now = self.clock.now()
                unit.decisions.end(decision.decision_id, finish.reason, finish.detail[-DETAIL_LENGTH:], now)
                gone = ended(decision, finish.reason, finish.detail, now)
            reached(CrashPoint.CONCLUSION_UNCOMMITTED, decision.symbol)
        reached(CrashPoint.STAGE_COMMITTED, decision.symbol)
        self._tell(run, finish)
        if gone is not None:
            emit_end(self.events, gone)
        return finish

    def _tell(self, run: Run, finish: StageEnd) -> None:
        """The one line that tells a stage's whole story, and another when it was slow."""
        stage, delivery = run.stage, run.delivery
        run_ms, parts = _elapsed_ms(run.began), timing.so_far()
        self.events.emit(
            EventName.STAGE_END,
            level=None,
            stage=stage.value,
            worker=delivery.worker,
            attempt=delivery.attempt,
            queue_wait_ms=delivery.queue_wait_ms,
            run_ms=run_ms,
            parts=parts,
            **in_words(stage, finish),
        )
        tell_slowness(self.events, self.thresholds, stage, delivery.queue_wait_ms, run_ms)


def _record(run: Run, finish: Advance | End) -> StageRecord:
    delivery = run.delivery
    return StageRecord(
        decision_id=run.decision.decision_id,
        stage=run.stage,
        task_id=delivery.task_id,
        host=delivery.host,
        worker=delivery.worker,
        pid=delivery.pid,
        attempt=delivery.attempt,
        queue_wait_ms=delivery.queue_wait_ms,
        started_at=delivery.received_at,
        run_ms=_elapsed_ms(run.began),
        result=StageResult.PASSED if isinstance(finish, Advance) else StageResult.ENDED,
        output=finish.output,
    )


def _elapsed_ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _was_handed_on(stage: Stage, records: dict[Stage, StageRecord]) -> bool:
    before = _before(stage, records)
    return before is not None and before.result is StageResult.PASSED


def _before(stage: Stage, records: dict[Stage, StageRecord]) -> StageRecord | None:
    order = list(Stage)
    at = order.index(stage)
    return records.get(order[at - 1]) if at else None
