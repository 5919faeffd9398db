"""Beside each closed position whether it was lost, and an index of those: the governor counts them at every entry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pipeline.ledger.columns import Exact, id_type

revision = "0009"
down_revision = "0008"

_positions = sa.table(
    "positions",
    sa.column("position_id", id_type()),
    sa.column("realised_pnl", Exact()),
    sa.column("fees", Exact()),
    sa.column("closed_at"),
    sa.column("lost", sa.Boolean()),
)


def upgrade() -> None:
    op.add_column("positions", sa.Column("lost", sa.Boolean()))
    _tell_what_was_lost(op.get_bind())
    only = sa.text("lost")
    op.create_index(
        "positions_lost",
        "positions",
        ["account", "closed_at", "symbol", "lost"],
        sqlite_where=only,
        postgresql_where=only,
    )


def _tell_what_was_lost(connection: sa.Connection) -> None:
    """Compared here: SQLite keeps exact numbers as text."""
    closed = sa.select(_positions).where(_positions.c.closed_at.is_not(None))
    told = [{"of": row.position_id, "was": row.realised_pnl < row.fees} for row in connection.execute(closed)]
    if told:
        tell = sa.update(_positions).where(_positions.c.position_id == sa.bindparam("of"))
        connection.execute(tell.values(lost=sa.bindparam("was")), told)
