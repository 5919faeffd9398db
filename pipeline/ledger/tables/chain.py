"""Decisions, their stages and verdicts, and the runs of the program."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Integer,
    String,
    Table,
)

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Mode, Origin, Stage, StageResult
from pipeline.domain.intents import Leg
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.signals import Regime, VerdictKind
from pipeline.ledger.columns import (
    FreeText,
    UtcDateTime,
    Word,
    id_type,
    json_column_type,
)
from pipeline.ledger.tables.building import (
    column,
    decision_key,
    index,
    metadata,
    within,
)

IS_OPEN = "ended_at IS NULL"
IN_THE_CHAIN = "ended_at IS NULL AND opener IS NULL"
"""A position's exit must not wait for the next entry's decision, nor keep it from being made."""

decisions = Table(
    "decisions",
    metadata,
    column("decision_id", id_type(), primary_key=True),
    column("symbol", String()),
    column("slot", UtcDateTime()),
    column("origin", Word(Origin)),
    column("account", String()),
    column("mode", Word(Mode)),
    column("config_hash", String()),
    column("universe_version", String()),
    column("dry_run", Boolean()),
    Column("opener", id_type()),
    column("enqueued_at", UtcDateTime()),
    column("expires_at", UtcDateTime()),
    column("deadline_at", UtcDateTime()),
    Column("outcome", Word(Outcome)),
    Column("reason", Word(EndReason, CheckCode)),
    column("detail", FreeText()),
    Column("ended_at", UtcDateTime()),
    within("origin", Origin),
    within("mode", Mode),
    within("outcome", Outcome),
    CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="outcome_when_ended"),
    CheckConstraint("(reason IS NULL) = (ended_at IS NULL)", name="reason_when_ended"),
    index("one_open_decision", "account", "symbol", unique=True, where=IN_THE_CHAIN),
    index("decisions_open", "enqueued_at", where=IS_OPEN),
    index("decisions_of_exits", "opener", where="opener IS NOT NULL"),
    index("decisions_by_time", "enqueued_at"),
    index("decisions_by_symbol", "symbol", "enqueued_at"),
    index("decisions_by_outcome", "outcome", "enqueued_at"),
)

stages = Table(
    "stages",
    metadata,
    decision_key(primary_key=True),
    column("stage", Word(Stage), primary_key=True),
    column("task_id", String()),
    column("host", String()),
    column("worker", String()),
    column("pid", Integer()),
    column("attempt", Integer()),
    Column("queue_wait_ms", Float()),
    column("started_at", UtcDateTime()),
    column("run_ms", Float()),
    column("result", Word(StageResult)),
    column("output", json_column_type()),
    within("stage", Stage),
    within("result", StageResult),
    CheckConstraint("attempt >= 1", name="attempt_counts_from_1"),
)

deliveries = Table(
    "deliveries",
    metadata,
    decision_key(primary_key=True),
    column("stage", Word(Stage), primary_key=True),
    column("count", Integer()),
    column("last_at", UtcDateTime()),
    CheckConstraint("count >= 2", name="more_than_one"),
)

strategy_verdicts = Table(
    "strategy_verdicts",
    metadata,
    decision_key(primary_key=True),
    column("strategy", String(), primary_key=True),
    column("place", Integer()),
    column("kind", Word(VerdictKind)),
    column("regime", Word(Regime)),
    Column("signal", json_column_type()),
    Column("miss_condition", String()),
    Column("miss_value", Float()),
    Column("miss_threshold", Float()),
    column("error", FreeText()),
    column("chosen", Boolean()),
    column("run_ms", Float()),
    within("kind", VerdictKind),
    CheckConstraint("(signal IS NOT NULL) = (kind = 'signal')", name="signal_when_signalled"),
)

assessments = Table(
    "assessments",
    metadata,
    decision_key(primary_key=True),
    column("leg", Word(Leg), primary_key=True),
    column("verdicts", json_column_type()),
    within("leg", Leg),
)

pruned = Table(
    "pruned",
    metadata,
    column("account", String(), primary_key=True),
    column("mode", Word(Mode), primary_key=True),
    column("symbol", String(), primary_key=True),
    column("day", UtcDateTime(), primary_key=True),
    column("outcome", Word(Outcome), primary_key=True),
    column("reason", Word(EndReason, CheckCode), primary_key=True),
    column("many", Integer()),
    index("pruned_by_day", "day"),
)

sessions = Table(
    "sessions",
    metadata,
    column("session_id", String(), primary_key=True),
    column("config_hash", String()),
    column("account", String()),
    column("mode", Word(Mode)),
    column("snapshot", json_column_type()),
    column("started_at", UtcDateTime()),
    within("mode", Mode),
    index("sessions_by_time", "started_at"),
)
