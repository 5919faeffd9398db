"""What the governor remembers: latches, marks, comparisons, heartbeats, the breaker, universes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pipeline.ledger.columns import Exact, UtcDateTime, json_column_type

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("orders_of_account", "orders", ["account", "created_at", "state", "symbol"])
    op.create_index("positions_closed", "positions", ["account", "closed_at"])
    _latches()
    _equity_marks()
    _reconciliations()
    _heartbeats()
    _breakers()
    _universes()


def _latches() -> None:
    op.create_table(
        "latches",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("code", sa.String(), primary_key=True),
        sa.Column("tripped", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
    )


def _equity_marks() -> None:
    op.create_table(
        "equity_marks",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("day", UtcDateTime(), nullable=False),
        sa.Column("day_start", Exact(), nullable=False),
        sa.Column("peak", Exact(), nullable=False),
    )


def _reconciliations() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("compared_at", UtcDateTime(), nullable=False),
        sa.Column("differences", json_column_type(), nullable=False),
    )


def _heartbeats() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("process", sa.String(), primary_key=True),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("config_hash", sa.String(), nullable=False),
        sa.Column("beat_at", UtcDateTime(), nullable=False),
    )
    op.create_index("heartbeats_by_time", "heartbeats", ["account", "beat_at"])


def _breakers() -> None:
    op.create_table(
        "breakers",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
    )


def _universes() -> None:
    op.create_table(
        "universes",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("symbols", json_column_type(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("report", json_column_type(), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
    )
    op.create_index("universes_by_time", "universes", ["account", "checked_at"])
    op.create_index("universes_by_version", "universes", ["version"])
