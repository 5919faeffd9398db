"""Sweeping: no decision stays open because its message is gone.

The broker may lose a message (a flush, an expiry, a hand-off that failed). The ledger knows what is open, so the
sweeper finds it: what may still be finished in time is published again, the rest is ended with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.decisions import Decision, Stage, StageRecord
from pipeline.domain.events import EventName, Events
from pipeline.domain.orders import Order
from pipeline.domain.outcomes import EndReason
from pipeline.domain.ports import Clock, Ledger, Unit
from pipeline.stages.ending import end_if_settled
from pipeline.stages.opening import emit_end

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """`resume_after`: silence after which a message counts as lost. `start_grace`: a fetch may run that long past
    the instant by which it had to start. `max_deliveries` as for the runner.
    """

    resume_after: timedelta
    start_grace: timedelta
    max_deliveries: int


@dataclass(frozen=True, slots=True)
class Leave:
    """All is well, or somebody else's business."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Publish this stage's message again."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Close:
    """End the decision."""

    reason: EndReason
    detail: str


Step = Leave | Resume | Close


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger knows of an open decision. `heard_at` is the last sign of life of its next stage."""

    decision: Decision
    next_stage: Stage | None
    heard_at: datetime
    deliveries: int
    orders: Sequence[Order]


def next_step(standing: Standing, now: datetime, options: SweepOptions) -> Step:
    """What is to be done about one open decision. Pure."""
    if standing.decision.origin.is_exit:
        return Leave()  # whoever protects the position carries it on
    if any(not order.state.is_final for order in standing.orders):
        return Leave()  # the resolver learns its fate
    if standing.next_stage is Stage.FETCH:
        return _unstarted(standing.decision, now, options)
    if standing.next_stage is None or now - standing.heard_at < options.resume_after:
        return Leave()
    if standing.orders:
        return Resume(Stage.EXECUTE)  # sends nothing new: it reports what became of the order
    return _silent(standing, standing.next_stage, now, options)


def _silent(standing: Standing, stage: Stage, now: datetime, options: SweepOptions) -> Step:
    deadline = standing.decision.deadline_at
    if now >= deadline:
        return Close(EndReason.DEADLINE, f"{stage} was not done by {deadline:%H:%M:%S}; nothing was sent")
    if standing.deliveries >= options.max_deliveries:
        told = f"{stage} was delivered {standing.deliveries} times without a result"
        return Close(EndReason.KEEPS_DYING, told)
    return Resume(stage)


def _unstarted(decision: Decision, now: datetime, options: SweepOptions) -> Step:
    if now < decision.expires_at + options.start_grace:
        return Leave()
    detail = f"no worker finished its fetch; it had to start by {decision.expires_at:%H:%M:%S}"
    return Close(EndReason.NOT_STARTED, detail)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks at every open decision of the account and does what `next_step` says. Two at once do no harm."""

    ledger: Ledger
    clock: Clock
    events: Events
    account: str
    options: SweepOptions
    publish: Callable[[Stage, Decision, int], None]

    def sweep(self) -> dict[str, int]:
        """Returns how many decisions it looked at, resumed and closed."""
        now = self.clock.now()
        with self.ledger.read() as unit:
            still_open = unit.decisions.still_open(self.account, now, BATCH)
            standings = [_standing(unit, decision) for decision in still_open]
        steps = [(standing, next_step(standing, now, self.options)) for standing in standings]
        resumed = sum(self._resume(standing, step) for standing, step in steps if isinstance(step, Resume))
        closed = sum(self._close(standing, step) for standing, step in steps if isinstance(step, Close))
        return {"open": len(standings), "resumed": resumed, "closed": closed}

    def _resume(self, standing: Standing, step: Resume) -> bool:
        decision = standing.decision
        with self.ledger.begin() as unit:
            attempt = unit.stages.count_delivery(decision.decision_id, step.stage, self.clock.now())
        self.events.emit(
            EventName.DECISION_RESUMED,
            decision_id=decision.decision_id,
            symbol=decision.symbol,
            stage=step.stage.value,
            attempt=attempt,
        )
        self.publish(step.stage, decision, attempt)
        return True

    def _close(self, standing: Standing, step: Close) -> bool:
        with self.ledger.begin(durable=True) as unit:
            decision = unit.decisions.lock(standing.decision.decision_id)
            if decision is None or not decision.is_open or _moved_on(unit, standing):
                return False
            gone = end_if_settled(unit, decision, step.reason, step.detail, self.clock.now())
        if gone is None:
            return False
        emit_end(self.events, gone)
        return True


def _moved_on(unit: Unit, standing: Standing) -> bool:
    """Whether the stage that seemed lost has been done since we looked."""
    stage = standing.next_stage
    return stage is not None and unit.stages.get(standing.decision.decision_id, stage) is not None


def _standing(unit: Unit, decision: Decision) -> Standing:
    records = unit.stages.of(decision.decision_id)
    stage = _next_stage(records)
    last_delivery = unit.stages.last_delivery_at(decision.decision_id, stage) if stage else None
    return Standing(
        decision=decision,
        next_stage=stage,
        heard_at=max(
            [decision.enqueued_at, *_finished(records), *([last_delivery] if last_delivery else [])]
        ),
        deliveries=unit.stages.deliveries(decision.decision_id, stage) if stage else 1,
        orders=unit.orders.of(decision.decision_id),
    )


def _next_stage(records: Sequence[StageRecord]) -> Stage | None:
    done = {record.stage for record in records}
    return next((stage for stage in Stage if stage not in done), None)


def _finished(records: Iterable[StageRecord]) -> list[datetime]:
    return [record.started_at + timedelta(milliseconds=record.run_ms) for record in records]
