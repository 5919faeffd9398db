"""Sums over many decisions, for who makes the rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, select

from pipeline.domain.decisions import Origin
from pipeline.domain.orders import OrderState
from pipeline.domain.rounds import NOBODYS_WORK, EndedGroup, SlotSums
from pipeline.domain.signals import VerdictKind
from pipeline.ledger.columns import UtcDateTime
from pipeline.ledger.repository import Repository
from pipeline.ledger.tables import decisions, orders, stages, strategy_verdicts, trading_states, universes

_SCHEDULED = (Origin.BEAT, Origin.FEED)
_ACCOUNT: BindParameter[str] = bindparam("of_account")
_SINCE: BindParameter[datetime] = bindparam("since", type_=UtcDateTime())

_RECENT = (decisions.c.account == _ACCOUNT, decisions.c.enqueued_at >= _SINCE)
_RECEIVED = select(func.count(), func.count(decisions.c.ended_at)).where(*_RECENT)
_GROUPS = (
    select(
        decisions.c.reason,
        func.count().label("many"),
        func.max(decisions.c.decision_id).label("newest"),
    )
    .where(*_RECENT, decisions.c.ended_at.is_not(None))
    .group_by(decisions.c.reason)
    .subquery()
)
_ENDED = (
    select(_GROUPS, decisions.c.detail)
    .join(decisions, decisions.c.decision_id == _GROUPS.c.newest)
    .order_by(_GROUPS.c.many.desc(), _GROUPS.c.reason)
)
_FINISHED = (
    select(decisions.c.symbol, func.max(decisions.c.ended_at).label("at"))
    .where(*_RECENT, decisions.c.ended_at.is_not(None), decisions.c.reason.not_in(NOBODYS_WORK))
    .group_by(decisions.c.symbol)
)
_UNIVERSES = (
    select(universes.c.symbols, universes.c.checked_at)
    .where(universes.c.account == _ACCOUNT)
    .order_by(universes.c.checked_at.desc())
    .limit(2)
)
_FAILING = (
    select(
        strategy_verdicts.c.strategy,
        func.count().label("many"),
        func.max(strategy_verdicts.c.error).label("error"),
    )
    .join(decisions, decisions.c.decision_id == strategy_verdicts.c.decision_id)
    .where(*_RECENT, strategy_verdicts.c.kind == VerdictKind.FAILED)
    .group_by(strategy_verdicts.c.strategy)
)
_NEW_ORDERS = (orders.c.account == _ACCOUNT, orders.c.created_at >= _SINCE)
_ORDERS = select(orders.c.state, func.count().label("many")).where(*_NEW_ORDERS).group_by(orders.c.state)
_REFUSALS = (
    select(orders.c.detail, func.count().label("many"))
    .where(*_NEW_ORDERS, orders.c.state == OrderState.REJECTED)
    .group_by(orders.c.detail)
    .order_by(func.count().desc())
    .limit(3)
)
_OF_SLOTS = (
    *_RECENT,  # a slot lies before its enqueueing: the index by that time serves
    decisions.c.origin.in_(_SCHEDULED),
    decisions.c.slot >= _SINCE,
    decisions.c.slot < bindparam("until", type_=UtcDateTime()),
)
_SLOTS = select(decisions.c.symbol, decisions.c.outcome, decisions.c.enqueued_at, decisions.c.ended_at).where(
    *_OF_SLOTS
)
_SLOWEST = (
    select(stages.c.stage, stages.c.run_ms)
    .join(decisions, decisions.c.decision_id == stages.c.decision_id)
    .where(*_OF_SLOTS)
    .order_by(stages.c.run_ms.desc())
    .limit(1)
)
_WHY = select(trading_states.c.reason, trading_states.c.set_by).where(trading_states.c.account == _ACCOUNT)


class SqlRounds(Repository):
    """Fulfils `ports.Rounds`."""

    __slots__ = ()

    def ended(self, account: str, since: datetime) -> Sequence[EndedGroup]:
        return [EndedGroup(**row) for row in self._all(_ENDED, _of(account, since))]

    def last_finished(self, account: str, since: datetime) -> Mapping[str, datetime]:
        rows = self._all(_FINISHED, _of(account, since))
        return {row["symbol"]: row["at"] for row in rows}

    def received(self, account: str, since: datetime) -> tuple[int, int]:
        enqueued, ended = self._connection.execute(_RECEIVED, _of(account, since)).one()
        return int(enqueued), int(ended)

    def joined_at(self, account: str) -> Mapping[str, datetime]:
        rows = self._all(_UNIVERSES, {"of_account": account})
        if len(rows) < 2:
            return {}
        now, before = rows
        at: datetime = before["checked_at"]
        return {symbol: at for symbol in now["symbols"] if symbol not in before["symbols"]}

    def failing(self, account: str, since: datetime) -> Mapping[str, tuple[int, str]]:
        rows = self._all(_FAILING, _of(account, since))
        return {row["strategy"]: (row["many"], row["error"]) for row in rows}

    def orders(self, account: str, since: datetime) -> Mapping[OrderState, int]:
        return {row["state"]: row["many"] for row in self._all(_ORDERS, _of(account, since))}

    def refusals(self, account: str, since: datetime) -> Mapping[str, int]:
        return {row["detail"]: row["many"] for row in self._all(_REFUSALS, _of(account, since))}

    def slots(self, account: str, since: datetime, until: datetime) -> SlotSums:
        asked = {**_of(account, since), "until": until}
        slowest = self._first(_SLOWEST, asked)
        return _sums(self._connection.execute(_SLOTS, asked).all(), slowest)

    def reason_of_state(self, account: str) -> tuple[str, str]:
        row = self._first(_WHY, {"of_account": account})
        return (row["reason"], row["set_by"]) if row else ("", "")


def _of(account: str, since: datetime) -> dict[str, object]:
    return {"of_account": account, "since": since}


def _sums(rows: Sequence[Any], slowest_stage: Mapping[str, Any] | None) -> SlotSums:
    ended = [row for row in rows if row.ended_at is not None]
    outcomes = {
        outcome: sum(row.outcome is outcome for row in ended)
        for outcome in sorted({row.outcome for row in ended})
    }
    took = {row.symbol: (row.ended_at - row.enqueued_at).total_seconds() * 1000 for row in ended}
    slowest = max(took, key=lambda symbol: took[symbol], default="")
    return SlotSums(
        enqueued=len(rows),
        ended=len(ended),
        outcomes=outcomes,
        slowest_symbol=slowest,
        slowest_ms=round(took.get(slowest, 0.0), 1),
        slowest_stage=slowest_stage["stage"].value if slowest_stage else "",
        slowest_stage_ms=round(slowest_stage["run_ms"], 1) if slowest_stage else 0.0,
    )
