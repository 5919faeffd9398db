"""Decisions: opened once, ended once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, exists, func, or_, select, update

from pipeline.domain.decisions import Decision, Judgement, Stage
from pipeline.domain.errors import InvariantBroken, LedgerUnavailable
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Leg
from pipeline.domain.outcomes import ACTED_UPON, SAID_BY_THE_BARS, EndReason, Reason, outcome_of
from pipeline.domain.signals import VerdictKind
from pipeline.ledger.repository import Repository, insert_once, matching, one_often, reader
from pipeline.ledger.tables import decisions as table
from pipeline.ledger.tables import orders, stages, strategy_verdicts

OPEN_ATTEMPTS = 5

OPEN = "open"
"""What stands for the outcome of a decision that has none yet."""

_values = reader(Decision)

_INSERT = insert_once(table)
_BY_ID = select(table).where(table.c.decision_id == bindparam("id"))
_GET, _LOCK = one_often(_BY_ID, Decision), one_often(_BY_ID.with_for_update(), Decision)
_IN_THE_WAY = (
    select(table)
    .where(
        or_(
            table.c.decision_id == bindparam("id"),
            (table.c.account == bindparam("account"))
            & (table.c.symbol == bindparam("symbol"))
            & table.c.ended_at.is_(None)
            & table.c.opener.is_(None),
        )
    )
    .order_by((table.c.decision_id == bindparam("id")).desc())
    .limit(1)
)
_END = (
    update(table)
    .where(table.c.decision_id == bindparam("id"), table.c.ended_at.is_(None))
    .values({column: bindparam(f"new_{column}") for column in ("outcome", "reason", "detail", "ended_at")})
)
_STRATEGY_FAILED = exists().where(
    strategy_verdicts.c.decision_id == table.c.decision_id, strategy_verdicts.c.kind == VerdictKind.FAILED
)
_OPENED_SOMETHING = exists().where(orders.c.decision_id == table.c.decision_id, orders.c.leg == Leg.ENTRY)
_LAST_JUDGEMENT = (
    select(table.c.decision_id, stages.c.output)
    .join(stages, (stages.c.decision_id == table.c.decision_id) & (stages.c.stage == Stage.FETCH))
    .where(
        table.c.symbol == bindparam("symbol"),
        table.c.enqueued_at >= bindparam("since"),
        table.c.account == bindparam("account"),
        table.c.config_hash == bindparam("config_hash"),
        table.c.dry_run.is_(False),
        or_(
            table.c.reason == EndReason.UNCHANGED,
            table.c.reason.in_(ACTED_UPON) & _OPENED_SOMETHING,
            table.c.reason.in_(SAID_BY_THE_BARS) & ~_STRATEGY_FAILED,
        ),
    )
    .order_by(table.c.enqueued_at.desc())
    .limit(1)
)
_STILL_OPEN = (
    select(table)
    .where(table.c.ended_at.is_(None), table.c.enqueued_at < bindparam("before"))
    .order_by(table.c.enqueued_at)
    .limit(bindparam("at_most"))
)
_STILL_OPEN_OF = _STILL_OPEN.where(table.c.account == bindparam("of_account"))

_EXITS = (
    select(table)
    .where(table.c.opener == bindparam("of_opener"), table.c.opener.is_not(None))
    .order_by(table.c.enqueued_at, table.c.decision_id)
)

# What ended since then was enqueued not much earlier: the index by time of enqueueing serves.
_REASONS = (
    select(table.c.reason, func.count().label("many"))
    .where(
        table.c.account == bindparam("of_account"),
        table.c.enqueued_at >= bindparam("since"),
        table.c.ended_at.is_not(None),
    )
    .group_by(table.c.reason)
)


class SqlDecisions(Repository):
    """Fulfils `ports.Decisions`."""

    __slots__ = ()

    def open(self, decision: Decision) -> Decision | None:
        if not decision.is_open:
            raise InvariantBroken(f"{decision.decision_id} has ended already and cannot be opened")
        for _ in range(OPEN_ATTEMPTS):
            if self._changed(_INSERT, _values(decision)):
                return None
            in_the_way = self._in_the_way(decision)
            if in_the_way is not None:
                return in_the_way
            # Somebody's decision was open when we tried and had ended when we looked: the way is free now.
        raise LedgerUnavailable(
            f"{decision.decision_id} could not be opened: decisions on {decision.symbol} come and go too fast"
        )

    def _in_the_way(self, decision: Decision) -> Decision | None:
        keys = {"id": decision.decision_id, "account": decision.account, "symbol": decision.symbol}
        row = self._first(_IN_THE_WAY, keys)
        return None if row is None else Decision(**row)

    def add_ended(self, decision: Decision) -> bool:
        if decision.is_open:
            raise InvariantBroken(f"{decision.decision_id} has not ended; open it instead")
        return self._changed(_INSERT, _values(decision))

    def get(self, decision_id: DecisionId) -> Decision | None:
        return self._ask(_GET, {"id": decision_id})

    def lock(self, decision_id: DecisionId) -> Decision | None:
        return self._ask(_LOCK, {"id": decision_id})

    def end(self, decision_id: DecisionId, reason: Reason, detail: str, at: datetime) -> bool:
        return self._changed(
            _END,
            {
                "id": decision_id,
                "new_outcome": outcome_of(reason),
                "new_reason": reason,
                "new_detail": detail,
                "new_ended_at": at,
            },
        )

    def last_judgement(
        self, account: str, symbol: str, config_hash: str, since: datetime
    ) -> Judgement | None:
        keys = {"account": account, "symbol": symbol, "config_hash": config_hash, "since": since}
        row = self._first(_LAST_JUDGEMENT, keys)
        if row is None:
            return None
        told = row["output"]
        return Judgement(DecisionId(told.get("judged_by", row["decision_id"])), str(told.get("bars", "")))

    def still_open(self, account: str | None, enqueued_before: datetime, limit: int) -> Sequence[Decision]:
        statement = _STILL_OPEN if account is None else _STILL_OPEN_OF
        asked = {"of_account": account, "before": enqueued_before, "at_most": limit}
        rows = self._all(statement, asked)
        return [Decision(**row) for row in rows]

    def exits_of(self, opener: DecisionId) -> Sequence[Decision]:
        return [Decision(**row) for row in self._all(_EXITS, {"of_opener": opener})]

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
        is_open = outcome == OPEN
        ended_as = None if is_open else outcome
        statement = matching(
            table, account=account, symbol=symbol, outcome=ended_as, reason=reason, mode=mode
        )
        if is_open:
            statement = statement.where(table.c.ended_at.is_(None))
        if since is not None:
            statement = statement.where(table.c.enqueued_at >= since)
        newest = statement.order_by(table.c.enqueued_at.desc(), table.c.decision_id).limit(limit)
        return [Decision(**row) for row in self._latest(newest)]

    def reasons(self, account: str, since: datetime) -> Mapping[Reason, int]:
        asked = {"of_account": account, "since": since}
        return {row["reason"]: row["many"] for row in self._all(_REASONS, asked)}

    def counts(self, since: datetime | None = None) -> Mapping[str, int]:
        statement = select(table.c.outcome, func.count().label("many")).group_by(table.c.outcome)
        if since is not None:
            statement = statement.where(table.c.enqueued_at >= since)
        rows = self._latest(statement)
        return {row["outcome"].value if row["outcome"] else OPEN: row["many"] for row in rows}
