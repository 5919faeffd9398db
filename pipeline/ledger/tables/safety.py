"""Switches, and what the governor remembers."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    String,
    Table,
)

from pipeline.domain.checks import CheckCode
from pipeline.domain.switches import KillScope, TradingState
from pipeline.ledger.columns import (
    Exact,
    FreeText,
    UtcDateTime,
    Word,
    json_column_type,
)
from pipeline.ledger.tables.building import (
    column,
    index,
    metadata,
    within,
)

kill_switches = Table(
    "kill_switches",
    metadata,
    column("scope", Word(KillScope), primary_key=True),
    column("name", String(), primary_key=True),
    column("reason", FreeText()),
    column("set_by", String()),
    column("set_at", UtcDateTime()),
    within("scope", KillScope),
    CheckConstraint("(scope = 'global') = (name = '')", name="name_unless_global"),
)

trading_states = Table(
    "trading_states",
    metadata,
    column("account", String(), primary_key=True),
    column("state", Word(TradingState)),
    column("reason", FreeText()),
    column("set_by", String()),
    column("set_at", UtcDateTime()),
    within("state", TradingState),
)

switch_events = Table(
    "switch_events",
    metadata,
    Column("event_id", Integer(), primary_key=True),
    column("scope", String()),
    column("name", String()),
    column("became", String()),
    column("reason", FreeText()),
    column("set_by", String()),
    column("at", UtcDateTime()),
)

latches = Table(
    "latches",
    metadata,
    column("account", String(), primary_key=True),
    column("code", Word(CheckCode), primary_key=True),
    column("tripped", Boolean()),
    column("reason", FreeText()),
    column("changed_by", String()),
    column("changed_at", UtcDateTime()),
)

equity_marks = Table(
    "equity_marks",
    metadata,
    column("account", String(), primary_key=True),
    column("day", UtcDateTime()),
    column("day_start", Exact()),
    column("peak", Exact()),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    column("account", String(), primary_key=True),
    column("compared_at", UtcDateTime()),
    column("differences", json_column_type()),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    column("process", String(), primary_key=True),
    column("account", String()),
    column("config_hash", String()),
    column("beat_at", UtcDateTime()),
    index("heartbeats_by_time", "account", "beat_at"),
)

breakers = Table(
    "breakers",
    metadata,
    column("account", String(), primary_key=True),
    column("reason", String()),
    column("detail", FreeText()),
    column("opened_at", UtcDateTime()),
)

universes = Table(
    "universes",
    metadata,
    column("account", String(), primary_key=True),
    column("version", String(), primary_key=True),
    column("symbols", json_column_type()),
    column("key", String()),
    column("report", json_column_type()),
    column("checked_at", UtcDateTime()),
    index("universes_by_time", "account", "checked_at"),
    index("universes_by_version", "version"),
)
