"""A position's exits are decisions of their own, beside the chain's."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from pipeline.ledger.columns import id_type

revision = "0005"
down_revision = "0004"

BEFORE = "origin IN ('beat', 'feed', 'cli', 'python', 'call')"
AFTER = "origin IN ('beat', 'feed', 'cli', 'python', 'call', 'stop', 'target', 'time', 'dust')"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("opener", id_type()))
    op.drop_index("one_open_decision", "decisions")
    chain = _where("ended_at IS NULL AND opener IS NULL")
    op.create_index("one_open_decision", "decisions", ["account", "symbol"], unique=True, **chain)
    op.create_index("decisions_of_exits", "decisions", ["opener"], **_where("opener IS NOT NULL"))
    op.drop_index("orders_of_account", "orders")
    op.create_index("orders_of_account", "orders", ["account", "created_at", "leg", "state", "symbol"])
    _more_origins()


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _more_origins() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint("origin_known", "decisions", type_="check")
        op.create_check_constraint("origin_known", "decisions", AFTER)
        return
    # SQLite cannot alter a check. A wider one holds for every row that is there, so its text may be changed in place:
    # sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes".
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'decisions'",
        (BEFORE, AFTER),
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
