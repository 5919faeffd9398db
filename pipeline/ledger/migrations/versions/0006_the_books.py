"""Double entries for every change of the account's money."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pipeline.ledger.columns import Exact, UtcDateTime, id_type

revision = "0006"
down_revision = "0005"

HEADINGS = ("cash", "position", "profit", "fees", "funding", "capital", "accepted", "rounding")
CAUSES = ("opening", "fill", "funding", "transfer", "rebate", "accepted")
MODES = ("paper", "testnet", "live")


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("transaction_id", id_type(), primary_key=True),
        sa.Column("line", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("heading", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("amount", Exact(), nullable=False),
        sa.Column("position_id", id_type()),
        sa.Column("decision_id", id_type()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        _within("mode", MODES),
        _within("cause", CAUSES),
        _within("heading", HEADINGS),
        sa.CheckConstraint("line >= 1", name="line_counts_from_1"),
    )
    op.create_index("entries_by_time", "entries", ["account", "occurred_at"])
    op.create_table(
        "balances",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("asset", sa.String(), primary_key=True),
        *(sa.Column(heading, Exact(), nullable=False) for heading in HEADINGS),
    )


def _within(column: str, words: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")
