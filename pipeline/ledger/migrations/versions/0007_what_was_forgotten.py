"""How many decisions without a signal were forgotten, by day, symbol and reason."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pipeline.ledger.columns import UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "pruned",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("mode", sa.String(), primary_key=True),
        sa.Column("symbol", sa.String(), primary_key=True),
        sa.Column("day", UtcDateTime(), primary_key=True),
        sa.Column("outcome", sa.String(), primary_key=True),
        sa.Column("reason", sa.String(), primary_key=True),
        sa.Column("many", sa.Integer(), nullable=False),
    )
    op.create_index("pruned_by_day", "pruned", ["day"])
