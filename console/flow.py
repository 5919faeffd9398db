"""The flow of decisions through the stages since an instant, read from the ledger as it happens."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.decisions import Decision, Stage, StageRecord
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import Outcome
from pipeline.domain.ports import Ledger, Unit
from pipeline.domain.positions import Equity, Position

NEWEST = 8
_MANY = 100_000


@dataclass(slots=True)
class StageFigures:
    """What went through one stage; times in milliseconds."""

    run_ms: list[float] = field(default_factory=list)
    wait_ms: list[float] = field(default_factory=list)
    workers: set[str] = field(default_factory=set)

    def add(self, record: StageRecord) -> None:
        self.run_ms.append(record.run_ms)
        self.workers.add(f"{record.worker} {record.pid}")
        if record.queue_wait_ms is not None:
            self.wait_ms.append(record.queue_wait_ms)


def percentile(values: Sequence[float], fraction: float) -> float | None:
    """The value below which that fraction lies, by nearest rank; None when there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


@dataclass(slots=True)
class Flow:
    """Everything enqueued since `since`, on one account. `look` adds what is new."""

    since: datetime
    account: str
    enqueued: int = 0
    ended: int = 0
    stages: dict[Stage, StageFigures] = field(
        default_factory=lambda: {stage: StageFigures() for stage in Stage}
    )
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    took_ms: dict[str, list[float]] = field(default_factory=dict)
    newest: deque[Decision] = field(default_factory=lambda: deque(maxlen=NEWEST))
    executed: list[Decision] = field(default_factory=list)
    positions: Sequence[Position] = ()
    equity: Equity | None = None
    _open: dict[DecisionId, datetime] = field(default_factory=dict)
    _seen: set[DecisionId] = field(default_factory=set)

    @property
    def open(self) -> int:
        return self.enqueued - self.ended

    def look(self, ledger: Ledger) -> list[Decision]:
        """Those that ended since the last look, oldest first. Raises: LedgerUnavailable."""
        with ledger.read() as unit:
            fresh = [decision for decision in self._changed(unit) if self._note(decision)]
            for decision in fresh:
                for record in unit.stages.of(decision.decision_id):
                    self.stages[record.stage].add(record)
            self.positions = unit.positions.all_open(self.account)
            self.equity = unit.equity.latest(self.account)
            self._count(unit.decisions.counts(self.since))
        return fresh

    def _changed(self, unit: Unit) -> list[Decision]:
        """Those that were open at the last look, and those enqueued since; oldest first."""
        oldest_open = min(self._open.values(), default=None)
        newest_seen = max((decision.enqueued_at for decision in self.newest), default=self.since)
        found = unit.decisions.latest(since=oldest_open or max(self.since, newest_seen), limit=_MANY)
        return sorted(found, key=lambda decision: decision.enqueued_at)

    def _note(self, decision: Decision) -> bool:
        """Whether it ended, and we did not know."""
        if decision.is_open:
            self._open[decision.decision_id] = decision.enqueued_at
            return False
        self._open.pop(decision.decision_id, None)
        if decision.decision_id in self._seen:
            return False
        self._seen.add(decision.decision_id)
        self._add(decision)
        return True

    def _add(self, decision: Decision) -> None:
        outcome = decision.outcome.value if decision.outcome else ""
        self.reasons[outcome, decision.reason.value if decision.reason else ""] += 1
        self.newest.append(decision)
        if decision.outcome is Outcome.EXECUTED:
            self.executed.append(decision)
        if decision.ended_at is not None:
            took = (decision.ended_at - decision.enqueued_at).total_seconds() * 1000
            self.took_ms.setdefault(outcome, []).append(took)

    def _count(self, counts: Mapping[str, int]) -> None:
        self.enqueued = sum(counts.values())
        self.ended = self.enqueued - counts.get("open", 0)
        self.outcomes = Counter({name: count for name, count in counts.items() if name != "open"})
