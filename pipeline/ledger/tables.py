"""The tables. Their keys and constraints carry the guarantees; `docs/ledger.md` says them in words."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Mode, Origin, Stage, StageResult
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.orders import FINAL, OrderState
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.permits import PermitState
from pipeline.domain.signals import Regime, Side, VerdictKind
from pipeline.domain.switches import KillScope, TradingState
from pipeline.ledger.columns import (
    Exact,
    FreeText,
    UtcDateTime,
    Word,
    id_type,
    json_column_type,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _a(name: str, type_: Any, *more: Any, **options: Any) -> Column[Any]:
    """A column that is always set, unless `nullable` says otherwise."""
    return Column(name, type_, *more, **{"nullable": False, **options})


def _decision_key(**options: Any) -> Column[Any]:
    return _a("decision_id", id_type(), ForeignKey("decisions.decision_id"), **options)


def _within(column: str, words: Iterable[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({_listed(words)})", name=f"{column}_known")


def _listed(words: Iterable[StrEnum]) -> str:
    return ", ".join(f"'{word.value}'" for word in words)


def _positive(column: str) -> CheckConstraint:
    # The cast lets SQLite compare the number; there it is kept as text.
    return CheckConstraint(f"CAST({column} AS NUMERIC) > 0", name=f"{column}_positive")


def _not_negative(column: str) -> CheckConstraint:
    return CheckConstraint(f"CAST({column} AS NUMERIC) >= 0", name=f"{column}_not_negative")


def _index(name: str, *columns: str, unique: bool = False, where: str | None = None) -> Index:
    condition = None if where is None else text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


IS_OPEN = "ended_at IS NULL"
UNSETTLED = tuple(state for state in OrderState if state not in FINAL)
IS_UNSETTLED = f"state IN ({_listed(UNSETTLED)})"

decisions = Table(
    "decisions",
    metadata,
    _a("decision_id", id_type(), primary_key=True),
    _a("symbol", String()),
    _a("slot", UtcDateTime()),
    _a("origin", Word(Origin)),
    _a("account", String()),
    _a("mode", Word(Mode)),
    _a("config_hash", String()),
    _a("universe_version", String()),
    _a("dry_run", Boolean()),
    _a("enqueued_at", UtcDateTime()),
    _a("expires_at", UtcDateTime()),
    _a("deadline_at", UtcDateTime()),
    Column("outcome", Word(Outcome)),
    Column("reason", Word(EndReason, CheckCode)),
    _a("detail", FreeText()),
    Column("ended_at", UtcDateTime()),
    _within("origin", Origin),
    _within("mode", Mode),
    _within("outcome", Outcome),
    CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="outcome_when_ended"),
    CheckConstraint("(reason IS NULL) = (ended_at IS NULL)", name="reason_when_ended"),
    _index("one_open_decision", "account", "symbol", unique=True, where=IS_OPEN),
    _index("decisions_open", "enqueued_at", where=IS_OPEN),
    _index("decisions_by_time", "enqueued_at"),
    _index("decisions_by_symbol", "symbol", "enqueued_at"),
    _index("decisions_by_outcome", "outcome", "enqueued_at"),
)

stages = Table(
    "stages",
    metadata,
    _decision_key(primary_key=True),
    _a("stage", Word(Stage), primary_key=True),
    _a("task_id", String()),
    _a("host", String()),
    _a("worker", String()),
    _a("pid", Integer()),
    _a("attempt", Integer()),
    Column("queue_wait_ms", Float()),
    _a("started_at", UtcDateTime()),
    _a("run_ms", Float()),
    _a("result", Word(StageResult)),
    _a("output", json_column_type()),
    _within("stage", Stage),
    _within("result", StageResult),
    CheckConstraint("attempt >= 1", name="attempt_counts_from_1"),
)

deliveries = Table(
    "deliveries",
    metadata,
    _decision_key(primary_key=True),
    _a("stage", Word(Stage), primary_key=True),
    _a("count", Integer()),
    _a("last_at", UtcDateTime()),
    CheckConstraint("count >= 2", name="more_than_one"),
)

strategy_verdicts = Table(
    "strategy_verdicts",
    metadata,
    _decision_key(primary_key=True),
    _a("strategy", String(), primary_key=True),
    _a("place", Integer()),
    _a("kind", Word(VerdictKind)),
    _a("regime", Word(Regime)),
    Column("signal", json_column_type()),
    Column("miss_condition", String()),
    Column("miss_value", Float()),
    Column("miss_threshold", Float()),
    _a("error", FreeText()),
    _a("chosen", Boolean()),
    _a("run_ms", Float()),
    _within("kind", VerdictKind),
    CheckConstraint("(signal IS NOT NULL) = (kind = 'signal')", name="signal_when_signalled"),
)

check_verdicts = Table(
    "check_verdicts",
    metadata,
    _decision_key(primary_key=True),
    _a("leg", Word(Leg), primary_key=True),
    _a("code", Word(CheckCode), primary_key=True),
    _a("place", Integer()),
    _a("ok", Boolean()),
    _a("value", FreeText()),
    _a("limit", FreeText()),
    _a("detail", FreeText()),
    _within("leg", Leg),
)

permits = Table(
    "permits",
    metadata,
    _a("permit_id", id_type(), primary_key=True),
    _decision_key(),
    _a("leg", Word(Leg)),
    _a("account", String()),
    _a("mode", Word(Mode)),
    _a("symbol", String()),
    _a("side", Word(Side)),
    _a("type", Word(OrderType)),
    _a("tif", Word(TimeInForce)),
    _a("qty", Exact()),
    _a("limit_price", Exact()),
    _a("reduce_only", Boolean()),
    _a("terms_hash", String()),
    _a("reserved", Exact()),
    _a("limits", json_column_type()),
    _a("issued_at", UtcDateTime()),
    _a("expires_at", UtcDateTime()),
    _a("signature", String()),
    _a("state", Word(PermitState)),
    Column("used_at", UtcDateTime()),
    UniqueConstraint("decision_id", "leg"),
    _within("leg", Leg),
    _within("mode", Mode),
    _within("state", PermitState),
    _positive("qty"),
    _not_negative("limit_price"),
    _not_negative("reserved"),
    CheckConstraint("(used_at IS NOT NULL) = (state = 'used')", name="used_at_when_used"),
    _index("permits_reserving", "account", "expires_at", where="state = 'issued'"),
)

orders = Table(
    "orders",
    metadata,
    _a("client_order_id", id_type(), primary_key=True),
    _decision_key(),
    _a("leg", Word(Leg)),
    _a("attempt", Integer()),
    _a("account", String()),
    _a("mode", Word(Mode)),
    _a("permit_id", id_type(), ForeignKey("permits.permit_id")),
    _a("symbol", String()),
    _a("side", Word(Side)),
    _a("type", Word(OrderType)),
    _a("tif", Word(TimeInForce)),
    _a("qty", Exact()),
    _a("limit_price", Exact()),
    _a("reduce_only", Boolean()),
    _a("decision_price", Exact()),
    _a("state", Word(OrderState)),
    _a("fence", String()),
    _a("created_at", UtcDateTime()),
    Column("sent_at", UtcDateTime()),
    Column("resolved_at", UtcDateTime()),
    _a("exchange_order_id", String()),
    _a("filled_qty", Exact()),
    Column("avg_price", Exact()),
    _a("fee", Exact()),
    _a("fee_asset", String()),
    _a("misses", Integer()),
    Column("first_miss_at", UtcDateTime()),
    Column("last_miss_at", UtcDateTime()),
    _a("detail", FreeText()),
    UniqueConstraint("decision_id", "leg", "attempt"),
    _within("leg", Leg),
    _within("mode", Mode),
    _within("state", OrderState),
    _positive("qty"),
    _not_negative("limit_price"),
    _not_negative("filled_qty"),
    CheckConstraint("attempt >= 1", name="attempt_counts_from_1"),
    CheckConstraint("misses >= 0", name="misses_not_negative"),
    CheckConstraint("state IN ('INTENT', 'ABANDONED') OR sent_at IS NOT NULL", name="sent_at_when_sent"),
    _index("orders_unsettled", "account", "symbol", where=IS_UNSETTLED),
    _index("orders_recent", "account", "symbol", "created_at"),
    _index("orders_by_time", "created_at"),
    _index("orders_of_account", "account", "created_at", "state", "symbol"),
    _index("orders_by_exchange_id", "exchange_order_id"),
)

order_steps = Table(
    "order_steps",
    metadata,
    Column("step_id", Integer(), primary_key=True),
    _a("client_order_id", id_type(), ForeignKey("orders.client_order_id")),
    _a("from_state", Word(OrderState)),
    _a("to_state", Word(OrderState)),
    _a("at", UtcDateTime()),
    _a("fence", String()),
    _a("detail", FreeText()),
    _index("order_steps_by_order", "client_order_id"),
)

fills = Table(
    "fills",
    metadata,
    _a("exchange", String(), primary_key=True),
    _a("symbol", String(), primary_key=True),
    _a("trade_id", String(), primary_key=True),
    _a("client_order_id", id_type(), ForeignKey("orders.client_order_id")),
    _decision_key(),
    _a("account", String()),
    _a("mode", Word(Mode)),
    _a("side", Word(Side)),
    _a("qty", Exact()),
    _a("price", Exact()),
    _a("fee", Exact()),
    _a("fee_asset", String()),
    _a("slippage_bps", Exact()),
    _a("occurred_at", UtcDateTime()),
    _a("recorded_at", UtcDateTime()),
    _within("mode", Mode),
    _positive("qty"),
    _positive("price"),
    _index("fills_by_order", "client_order_id"),
    _index("fills_by_decision", "decision_id"),
)

positions = Table(
    "positions",
    metadata,
    _a("position_id", id_type(), primary_key=True),
    _a("account", String()),
    _a("mode", Word(Mode)),
    _a("symbol", String()),
    _a("side", Word(Side)),
    _a("qty", Exact()),
    _a("entry_price", Exact()),
    _a("realised_pnl", Exact()),
    _a("fees", Exact()),
    _a("opened_by", id_type(), ForeignKey("decisions.decision_id")),
    _a("opened_at", UtcDateTime()),
    Column("closed_by", id_type(), ForeignKey("decisions.decision_id")),
    Column("closed_at", UtcDateTime()),
    _within("mode", Mode),
    CheckConstraint("(CAST(qty AS NUMERIC) > 0) = (closed_at IS NULL)", name="qty_while_open"),
    _index("one_open_position", "account", "symbol", unique=True, where="closed_at IS NULL"),
    _index("positions_by_time", "opened_at"),
    _index("positions_closed", "account", "closed_at"),
    _index("positions_by_opener", "opened_by"),
    _index("positions_by_closer", "closed_by"),
)

equity = Table(
    "equity",
    metadata,
    _a("account", String(), primary_key=True),
    _a("occurred_at", UtcDateTime(), primary_key=True),
    _a("mode", Word(Mode)),
    _a("equity", Exact()),
    _a("available", Exact()),
    _a("unrealised_pnl", Exact()),
    _a("recorded_at", UtcDateTime()),
    _within("mode", Mode),
)

kill_switches = Table(
    "kill_switches",
    metadata,
    _a("scope", Word(KillScope), primary_key=True),
    _a("name", String(), primary_key=True),
    _a("reason", FreeText()),
    _a("set_by", String()),
    _a("set_at", UtcDateTime()),
    _within("scope", KillScope),
    CheckConstraint("(scope = 'global') = (name = '')", name="name_unless_global"),
)

trading_states = Table(
    "trading_states",
    metadata,
    _a("account", String(), primary_key=True),
    _a("state", Word(TradingState)),
    _a("reason", FreeText()),
    _a("set_by", String()),
    _a("set_at", UtcDateTime()),
    _within("state", TradingState),
)

switch_events = Table(
    "switch_events",
    metadata,
    Column("event_id", Integer(), primary_key=True),
    _a("scope", String()),
    _a("name", String()),
    _a("became", String()),
    _a("reason", FreeText()),
    _a("set_by", String()),
    _a("at", UtcDateTime()),
)

budgets = Table("budgets", metadata, _a("account", String(), primary_key=True))

sessions = Table(
    "sessions",
    metadata,
    _a("session_id", String(), primary_key=True),
    _a("config_hash", String()),
    _a("account", String()),
    _a("mode", Word(Mode)),
    _a("snapshot", json_column_type()),
    _a("started_at", UtcDateTime()),
    _within("mode", Mode),
    _index("sessions_by_time", "started_at"),
)

latches = Table(
    "latches",
    metadata,
    _a("account", String(), primary_key=True),
    _a("code", Word(CheckCode), primary_key=True),
    _a("tripped", Boolean()),
    _a("reason", FreeText()),
    _a("changed_by", String()),
    _a("changed_at", UtcDateTime()),
)

equity_marks = Table(
    "equity_marks",
    metadata,
    _a("account", String(), primary_key=True),
    _a("day", UtcDateTime()),
    _a("day_start", Exact()),
    _a("peak", Exact()),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    _a("account", String(), primary_key=True),
    _a("compared_at", UtcDateTime()),
    _a("differences", json_column_type()),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    _a("process", String(), primary_key=True),
    _a("account", String()),
    _a("config_hash", String()),
    _a("beat_at", UtcDateTime()),
    _index("heartbeats_by_time", "account", "beat_at"),
)

breakers = Table(
    "breakers",
    metadata,
    _a("account", String(), primary_key=True),
    _a("reason", String()),
    _a("detail", FreeText()),
    _a("opened_at", UtcDateTime()),
)

universes = Table(
    "universes",
    metadata,
    _a("account", String(), primary_key=True),
    _a("version", String(), primary_key=True),
    _a("symbols", json_column_type()),
    _a("key", String()),
    _a("report", json_column_type()),
    _a("checked_at", UtcDateTime()),
    _index("universes_by_time", "account", "checked_at"),
    _index("universes_by_version", "version"),
)
