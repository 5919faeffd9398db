"""The ledger counted: what reports and metrics are made from. Read-only, and in one pass over each index.

Everything is grouped by mode: paper and live are never added up. Durations come as counts by tenth of a millisecond,
so that a million rows leave the database as a few hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, unique
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Table, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from pipeline.domain.decisions import Mode
from pipeline.domain.entries import WALLET, Heading
from pipeline.domain.outcomes import Outcome
from pipeline.domain.signals import Side, VerdictKind
from pipeline.ledger.repository import Repository
from pipeline.ledger.tables import (
    decisions,
    entries,
    equity,
    fills,
    orders,
    positions,
    pruned,
    stages,
    strategy_verdicts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which records count: those from `since` to before `until`, of one mode or of each, of one account or symbol."""

    since: datetime
    until: datetime
    mode: Mode | None = None
    account: str | None = None
    symbol: str | None = None


@unique
class By(StrEnum):
    """What the chain's figures are divided by."""

    STAGE = "stage"
    SYMBOL = "symbol"
    COMPONENT = "component"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCount:
    """So many decisions over a symbol ended so; `outcome` None are open ones."""

    mode: Mode
    symbol: str
    outcome: Outcome | None
    reason: str | None
    many: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """So many things called `key` took so many tenths of a millisecond; `kind` says which of its durations."""

    mode: Mode
    key: str
    kind: str
    tenths: int
    many: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCount:
    mode: Mode
    strategy: str
    kind: VerdictKind
    many: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCount:
    mode: Mode
    symbol: str
    state: str
    many: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """One fill with the strategy whose signal it executed; `sent_at` is its order's."""

    mode: Mode
    account: str
    symbol: str
    strategy: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    slippage_bps: Decimal
    occurred_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedRow:
    """One closed position with the strategy that opened it. `realised_pnl` is before fees."""

    mode: Mode
    account: str
    symbol: str
    strategy: str
    side: Side
    realised_pnl: Decimal
    fees: Decimal
    opened_at: datetime
    closed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityRow:
    mode: Mode
    account: str
    occurred_at: datetime
    equity: Decimal
    unrealised_pnl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRow:
    """One entry of what money was earned or spent with; negative where it came from."""

    mode: Mode
    account: str
    symbol: str
    heading: Heading
    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """Something that should not have happened: a decision's end, or a strategy that failed in it."""

    mode: Mode
    symbol: str
    decision_id: str
    kind: str
    detail: str
    at: datetime


class elapsed_tenths(FunctionElement[int]):  # noqa: N801 - a function of SQL
    """From the first time to the second, in tenths of a millisecond."""

    type = Integer()
    inherit_cache = True


@compiles(elapsed_tenths, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(({end} - {start}) / 100)"


@compiles(elapsed_tenths, "postgresql")
def _in_postgres(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(FLOOR(EXTRACT(EPOCH FROM ({end} - {start})) * 10000) AS INTEGER)"


class in_tenths(FunctionElement[int]):  # noqa: N801 - a function of SQL
    """Milliseconds as whole tenths of one, rounded to the nearest on both databases."""

    type = Integer()
    inherit_cache = True


@compiles(in_tenths, "sqlite")
def _tenths_in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} * 10 + 0.5 AS INTEGER)"


@compiles(in_tenths, "postgresql")
def _tenths_in_postgres(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST(FLOOR({compiler.process(element.clauses, **options)} * 10 + 0.5) AS INTEGER)"


_MANY = func.count().label("many")
_STRATEGY_OF = func.coalesce(strategy_verdicts.c.strategy, literal("")).label("strategy")


def _within(statement: Select[Any], span: Span) -> Select[Any]:
    """Restricted to the decisions of a span."""
    return _created(statement, decisions.c.enqueued_at, decisions, span)


def _created(statement: Select[Any], at: ColumnElement[Any], table: Table, span: Span) -> Select[Any]:
    """Restricted to the rows of a table that have their time in the span."""
    statement = statement.where(at >= span.since, at < span.until)
    for column, wanted in (("mode", span.mode), ("account", span.account), ("symbol", span.symbol)):
        if wanted is not None:
            statement = statement.where(table.c[column] == wanted)
    return statement


def _worker_role() -> ColumnElement[str]:
    """`market` of `market@host`."""
    role = func.replace(stages.c.worker, literal("@") + stages.c.host, "")
    return role.label("key")


_KEYS: dict[By, ColumnElement[Any]] = {
    By.STAGE: stages.c.stage.label("key"),
    By.SYMBOL: decisions.c.symbol.label("key"),
    By.COMPONENT: _worker_role(),
    By.HOST: stages.c.host.label("key"),
}


class SqlStatistics(Repository):
    """What a span of the ledger adds up to."""

    __slots__ = ()

    def ends(self, span: Span) -> Sequence[EndCount]:
        """How decisions ended, by symbol."""
        grouped = (decisions.c.mode, decisions.c.symbol, decisions.c.outcome, decisions.c.reason)
        statement = _within(select(*grouped, _MANY), span).group_by(*grouped)
        return [EndCount(**row) for row in (*self._all(statement, {}), *self._forgotten(span))]

    def _forgotten(self, span: Span) -> list[dict[str, Any]]:
        """Decisions without a signal of whole days that the ledger has only as numbers."""
        told = (pruned.c.mode, pruned.c.symbol, pruned.c.outcome, pruned.c.reason, pruned.c.many)
        return self._all(_created(select(*told), pruned.c.day, pruned, span), {})

    def decision_durations(self, span: Span) -> Sequence[Duration]:
        """From enqueueing to the end, by symbol; what is open has none."""
        tenths = elapsed_tenths(decisions.c.enqueued_at, decisions.c.ended_at).label("tenths")
        grouped = (decisions.c.mode, decisions.c.symbol.label("key"), tenths)
        ended = _within(select(*grouped, _MANY), span).where(decisions.c.ended_at.is_not(None))
        return [Duration(**row, kind="total") for row in self._all(ended.group_by(*grouped), {})]

    def stage_durations(self, span: Span, by: By) -> Sequence[Duration]:
        """How long stages ran (`run`) and their messages waited (`wait`)."""
        joined = stages.join(decisions, stages.c.decision_id == decisions.c.decision_id)
        found: list[Duration] = []
        for kind, column in (("run", stages.c.run_ms), ("wait", stages.c.queue_wait_ms)):
            grouped = (decisions.c.mode, _KEYS[by], in_tenths(column).label("tenths"))
            statement = _within(select(*grouped, _MANY).select_from(joined), span)
            measured = statement.where(column.is_not(None)).group_by(*grouped)
            found += [
                Duration(**{**row, "key": str(row["key"])}, kind=kind) for row in self._all(measured, {})
            ]
        return found

    def verdicts(self, span: Span) -> Sequence[VerdictCount]:
        """What each strategy answered."""
        joined = strategy_verdicts.join(decisions, strategy_verdicts.c.decision_id == decisions.c.decision_id)
        grouped = (decisions.c.mode, strategy_verdicts.c.strategy, strategy_verdicts.c.kind)
        statement = _within(select(*grouped, _MANY).select_from(joined), span).group_by(*grouped)
        return [VerdictCount(**row) for row in self._all(statement, {})]

    def strategy_durations(self, span: Span) -> Sequence[Duration]:
        """How long each strategy took."""
        joined = strategy_verdicts.join(decisions, strategy_verdicts.c.decision_id == decisions.c.decision_id)
        grouped = (
            decisions.c.mode,
            strategy_verdicts.c.strategy.label("key"),
            in_tenths(strategy_verdicts.c.run_ms).label("tenths"),
        )
        statement = _within(select(*grouped, _MANY).select_from(joined), span).group_by(*grouped)
        return [Duration(**row, kind="run") for row in self._all(statement, {})]

    def mishaps(self, span: Span, at_most: int) -> Sequence[Mishap]:
        """Decisions that failed, were rejected or expired, and strategies that failed; the newest of each."""
        whose = (decisions.c.mode, decisions.c.symbol, decisions.c.decision_id, decisions.c.enqueued_at)
        ended = _within(select(*whose, decisions.c.reason, decisions.c.detail), span)
        ended = ended.where(decisions.c.outcome.in_((Outcome.FAILED, Outcome.REJECTED, Outcome.EXPIRED)))
        joined = strategy_verdicts.join(decisions, strategy_verdicts.c.decision_id == decisions.c.decision_id)
        asked: Select[Any] = select(*whose, strategy_verdicts.c.strategy, strategy_verdicts.c.error)
        broke = _within(asked.select_from(joined), span).where(strategy_verdicts.c.kind == VerdictKind.FAILED)
        return [
            *(_mishap(row, str(row["reason"]), row["detail"]) for row in self._newest(ended, at_most)),
            *(
                _mishap(row, f"strategy {row['strategy']}", row["error"])
                for row in self._newest(broke, at_most)
            ),
        ]

    def _newest(self, statement: Select[Any], at_most: int) -> list[dict[str, Any]]:
        return self._all(statement.order_by(decisions.c.enqueued_at.desc()).limit(at_most), {})

    def orders(self, span: Span) -> Sequence[OrderCount]:
        """The order attempts of the span, by state."""
        grouped = (orders.c.mode, orders.c.symbol, orders.c.state)
        statement = _created(select(*grouped, _MANY), orders.c.created_at, orders, span).group_by(*grouped)
        return [OrderCount(**row) for row in self._all(statement, {})]

    def fills(self, span: Span) -> Sequence[FillRow]:
        """The fills that were recorded in the span, oldest first."""
        columns = [fills.c[name] for name in _FILL_COLUMNS]
        statement = (
            select(*columns, orders.c.sent_at, _STRATEGY_OF)
            .join(orders, orders.c.client_order_id == fills.c.client_order_id)
            .outerjoin(strategy_verdicts, _chosen_in(fills.c.decision_id))
            .order_by(fills.c.occurred_at, fills.c.trade_id)
        )
        return [
            FillRow(**row) for row in self._all(_created(statement, fills.c.recorded_at, fills, span), {})
        ]

    def closed(self, span: Span) -> Sequence[ClosedRow]:
        """The positions that were closed in the span, oldest first."""
        columns = [positions.c[name] for name in _CLOSED_COLUMNS]
        statement = (
            select(*columns, _STRATEGY_OF)
            .outerjoin(strategy_verdicts, _chosen_in(positions.c.opened_by))
            .order_by(positions.c.closed_at, positions.c.position_id)
        )
        closed = _created(statement, positions.c.closed_at, positions, span)
        return [ClosedRow(**row) for row in self._all(closed, {})]

    def equity(self, span: Span) -> Sequence[EquityRow]:
        """The equity as the exchange told it, oldest first; a symbol has none of its own."""
        columns = [equity.c[name] for name in _EQUITY_COLUMNS]
        statement = select(*columns).order_by(equity.c.account, equity.c.occurred_at)
        whole = Span(since=span.since, until=span.until, mode=span.mode, account=span.account)
        return [
            EquityRow(**row)
            for row in self._all(_created(statement, equity.c.occurred_at, equity, whole), {})
        ]

    def money(self, span: Span) -> Sequence[MoneyRow]:
        """What the books have of the span, without what only moved between cash and positions."""
        columns = [entries.c[name] for name in _MONEY_COLUMNS]
        statement = select(*columns).where(entries.c.heading.not_in(WALLET))
        return [
            MoneyRow(**row)
            for row in self._all(_created(statement, entries.c.occurred_at, entries, span), {})
        ]


def _mishap(row: dict[str, Any], kind: str, detail: str) -> Mishap:
    return Mishap(
        mode=row["mode"],
        symbol=row["symbol"],
        decision_id=row["decision_id"],
        kind=kind,
        detail=detail,
        at=row["enqueued_at"],
    )


_FILL_COLUMNS = (
    "mode", "account", "symbol", "side", "qty", "price", "fee", "fee_asset", "slippage_bps", "occurred_at",
)  # fmt: skip
_EQUITY_COLUMNS = ("mode", "account", "occurred_at", "equity", "unrealised_pnl")
_MONEY_COLUMNS = ("mode", "account", "symbol", "heading", "asset", "amount")
_CLOSED_COLUMNS = ("mode", "account", "symbol", "side", "realised_pnl", "fees", "opened_at", "closed_at")


def _chosen_in(decision: ColumnElement[str]) -> ColumnElement[bool]:
    return (strategy_verdicts.c.decision_id == decision) & strategy_verdicts.c.chosen.is_(True)
