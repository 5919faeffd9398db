"""The books: entries, which only grow, and what they add up to."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Integer, String, Table

from pipeline.domain.decisions import Mode
from pipeline.domain.entries import Cause, Heading
from pipeline.ledger.columns import Exact, FreeText, UtcDateTime, Word, id_type
from pipeline.ledger.tables.building import column, index, metadata, within

entries = Table(
    "entries",
    metadata,
    column("transaction_id", id_type(), primary_key=True),
    column("line", Integer(), primary_key=True),
    column("account", String()),
    column("mode", Word(Mode)),
    column("cause", Word(Cause)),
    column("symbol", String()),
    column("heading", Word(Heading)),
    column("asset", String()),
    column("amount", Exact()),
    Column("position_id", id_type()),
    Column("decision_id", id_type()),
    column("detail", FreeText()),
    column("occurred_at", UtcDateTime()),
    column("recorded_at", UtcDateTime()),
    within("mode", Mode),
    within("cause", Cause),
    within("heading", Heading),
    CheckConstraint("line >= 1", name="line_counts_from_1"),
    index("entries_by_time", "account", "occurred_at"),
)

balances = Table(
    "balances",
    metadata,
    column("account", String(), primary_key=True),
    column("asset", String(), primary_key=True),
    *(column(heading.value, Exact()) for heading in Heading),
)
