"""What the watchdog remembers: the levels that stand, and whom it told of what."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from pipeline.domain.levels import AlertKind, LevelCode, Severity
from pipeline.ledger.columns import FreeText, UtcDateTime, Word
from pipeline.ledger.tables.building import column, index, metadata

levels = Table(
    "levels",
    metadata,
    column("account", String(), primary_key=True),
    column("code", Word(LevelCode), primary_key=True),
    column("subject", String(), primary_key=True),
    column("severity", Word(Severity)),
    column("detail", FreeText()),
    column("since", UtcDateTime()),
    column("seen_at", UtcDateTime()),
    Column("cause", Word(LevelCode)),
    Column("told_at", UtcDateTime()),
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", Integer(), primary_key=True),
    column("account", String()),
    column("kind", Word(AlertKind)),
    column("code", Word(LevelCode)),
    column("subject", String()),
    column("severity", Word(Severity)),
    column("detail", FreeText()),
    column("since", UtcDateTime()),
    column("at", UtcDateTime()),
    index("alerts_by_time", "account", "at"),
)
