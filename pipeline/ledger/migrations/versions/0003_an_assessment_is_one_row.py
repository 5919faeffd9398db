"""An assessment is one row: its thirty rows took longer to write than all the rest of a validation."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from pipeline.ledger.columns import id_type, json_column_type

revision = "0003"
down_revision = "0002"

KEY, VERDICT = ("decision_id", "leg"), ("code", "ok", "value", "limit", "detail")
ROWS_AT_ONCE = 5000


def upgrade() -> None:
    assessments = op.create_table(
        "assessments",
        sa.Column("decision_id", id_type(), sa.ForeignKey("decisions.decision_id"), primary_key=True),
        sa.Column("leg", sa.String(), primary_key=True),
        sa.Column("verdicts", json_column_type(), nullable=False),
        sa.CheckConstraint("leg IN ('entry', 'stop', 'target', 'close')", name="leg_known"),
    )
    _fill(assessments)
    op.drop_table("check_verdicts")


def _fill(assessments: sa.Table) -> None:
    connection = op.get_bind()
    rows = connection.execute(_before(), execution_options={"yield_per": ROWS_AT_ONCE}).mappings()
    for key, group in groupby(rows, lambda row: tuple(row[name] for name in KEY)):
        verdicts = [{name: row[name] for name in VERDICT} for row in group]
        connection.execute(assessments.insert(), {**dict(zip(KEY, key, strict=True)), "verdicts": verdicts})


def _before() -> sa.Select[Any]:
    table = sa.table("check_verdicts", *map(sa.column, KEY + VERDICT), sa.column("place"))
    asked = [sa.type_coerce(table.c[name], sa.Boolean) if name == "ok" else table.c[name] for name in VERDICT]
    order = (table.c.decision_id, table.c.leg, table.c.place)
    return sa.select(table.c.decision_id, table.c.leg, *asked).order_by(*order)
