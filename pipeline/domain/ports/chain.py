"""What the ledger keeps of decisions, their stages and verdicts, and the runs of the program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pipeline.domain.checks import CheckVerdict
from pipeline.domain.decisions import Decision, Judgement, Stage, StageRecord
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Leg
from pipeline.domain.outcomes import Reason
from pipeline.domain.signals import StrategyVerdict


class Decisions(Protocol):
    def open(self, decision: Decision) -> Decision | None:
        """Insert an open decision. None when it was inserted; otherwise the decision that stands in its way:
        the same one (equal `decision_id`), or the open one of the same account and symbol.
        """

    def add_ended(self, decision: Decision) -> bool:
        """Insert a decision that has already ended (an overlap, say). False when its id exists."""

    def get(self, decision_id: DecisionId) -> Decision | None: ...

    def lock(self, decision_id: DecisionId) -> Decision | None:
        """Like `get`, and nobody else can change it until this unit ends."""

    def end(self, decision_id: DecisionId, reason: Reason, detail: str, at: datetime) -> bool:
        """Set the outcome once. False when it had ended before (nothing changes then)."""

    def last_judgement(
        self, account: str, symbol: str, config_hash: str, since: datetime
    ) -> Judgement | None:
        """The newest judgement that still stands: of a decision enqueued since then, under this configuration.

        It stands when its signal opened a position, or when the bars alone gave no order and no strategy
        failed. A decision that closed one (turning around takes a second), that was blocked, rejected, expired
        or failed, and a dry run, leave none.
        """

    def still_open(self, account: str | None, enqueued_before: datetime, limit: int) -> Sequence[Decision]:
        """Of an account, enqueued before that instant, oldest first. None: of all accounts, for who only counts."""

    def exits_of(self, opener: DecisionId) -> Sequence[Decision]:
        """The exits of the position that `opener` opened, the oldest first."""

    def latest(
        self,
        *,
        account: str | None = None,
        symbol: str | None = None,
        outcome: str | None = None,
        reason: str | None = None,
        mode: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
    ) -> Sequence[Decision]:
        """Newest first. `outcome` may be `open` as well: those that have none yet."""

    def counts(self, since: datetime | None = None) -> Mapping[str, int]:
        """How many decisions by outcome; open ones under `open`."""

    def reasons(self, account: str, since: datetime) -> Mapping[Reason, int]:
        """How many decisions that were enqueued since then have ended, by reason."""


class Stages(Protocol):
    def add(self, record: StageRecord) -> bool:
        """Insert once. False when (decision, stage) is stored already (nothing changes then)."""

    def get(self, decision_id: DecisionId, stage: Stage) -> StageRecord | None: ...

    def of(self, decision_id: DecisionId) -> Sequence[StageRecord]:
        """In the order of the chain."""

    def count_delivery(self, decision_id: DecisionId, stage: Stage, at: datetime) -> int:
        """Note one more delivery beyond the first of this stage's message; returns how many there were in all.

        A message that was delivered once has no row; the first call returns 2.
        """

    def deliveries(self, decision_id: DecisionId, stage: Stage) -> int:
        """How many deliveries are known of, at least 1."""

    def last_delivery_at(self, decision_id: DecisionId, stage: Stage) -> datetime | None:
        """When `count_delivery` was last called for it."""


class Verdicts(Protocol):
    def add(self, decision_id: DecisionId, verdicts: Iterable[StrategyVerdict]) -> None: ...

    def of(self, decision_id: DecisionId) -> Sequence[StrategyVerdict]: ...

    def add_checks(self, decision_id: DecisionId, leg: Leg, verdicts: Iterable[CheckVerdict]) -> None:
        """Idempotent by (decision, leg, code)."""

    def checks_of(self, decision_id: DecisionId) -> Sequence[CheckVerdict]: ...


class Sessions(Protocol):
    def start(
        self,
        *,
        session_id: str,
        config_hash: str,
        account: str,
        mode: str,
        snapshot: Mapping[str, object],
        at: datetime,
    ) -> None:
        """Record one run of the program with its configuration (without secrets)."""

    def newest(self, many: int) -> Sequence[Mapping[str, object]]:
        """The newest first."""

    def latest(self) -> Mapping[str, object] | None:
        """`session_id, config_hash, account, mode, snapshot, started_at` of the newest."""
