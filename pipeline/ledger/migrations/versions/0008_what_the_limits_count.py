"""Indexes of what the limits count: orders that take risk, and orders in trouble. Most are guards, and neither."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TAKES_RISK = "leg NOT IN ('stop', 'target')"
IS_IN_TROUBLE = "state IN ('REJECTED', 'UNKNOWN', 'NOT_PLACED')"


def upgrade() -> None:
    op.drop_index("orders_of_account", "orders")
    _index("orders_taking_risk", "leg", TAKES_RISK)
    _index("orders_in_trouble", "state", IS_IN_TROUBLE)


def _index(name: str, column: str, where: str) -> None:
    only = sa.text(where)
    op.create_index(
        name, "orders", ["account", "created_at", column], sqlite_where=only, postgresql_where=only
    )
