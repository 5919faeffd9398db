"""Forgetting decisions that wanted nothing: each day adds millions of them, and after some weeks nobody asks.

What is forgotten is counted in the same transaction, by day, symbol and reason: how decisions ended stays
right for ever.
What led to an order, was blocked, failed or expired is never forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update

from pipeline.domain.outcomes import Outcome
from pipeline.ledger.engines import begin
from pipeline.ledger.kinds import Kind
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.tables import (
    assessments,
    decisions,
    deliveries,
    orders,
    permits,
    pruned,
    stages,
    strategy_verdicts,
)

FORGOTTEN = (Outcome.NO_SIGNAL, Outcome.SKIPPED)
BATCH = 500
"""So many in one transaction: it takes milliseconds, and nobody waits for it."""

_PARTS = (stages, deliveries, strategy_verdicts, assessments)
_GROUP = ("account", "mode", "symbol", "day", "outcome", "reason")


def prune(ledger: SqlLedger, before: datetime, batch: int = BATCH) -> int:
    """Forget a batch of what was enqueued before that time, the oldest first. Returns how many there were.

    Raises: LedgerUnavailable; then the batch is as it was.
    """
    with ledger.engine.connect() as connection:
        begin(connection, Kind.WRITE)
        rows = _oldest(connection, before, batch)
        for group, many in Counter(map(_group, rows)).items():
            _count(connection, dict(zip(_GROUP, group, strict=True)), many)
        ids = [row["decision_id"] for row in rows]
        for table in (*_PARTS, decisions):
            connection.execute(delete(table).where(table.c.decision_id.in_(ids)))
        connection.commit()
    return len(rows)


def _oldest(connection: Connection, before: datetime, batch: int) -> Sequence[Any]:
    wanted = (
        select(decisions)
        .where(
            decisions.c.outcome.in_(FORGOTTEN),
            decisions.c.enqueued_at < before,
            decisions.c.opener.is_(None),
            ~exists().where(permits.c.decision_id == decisions.c.decision_id),
            ~exists().where(orders.c.decision_id == decisions.c.decision_id),
        )
        .order_by(decisions.c.enqueued_at)
        .limit(batch)
    )
    return connection.execute(wanted).mappings().all()


def _group(row: Any) -> tuple[object, ...]:
    day = row["enqueued_at"].astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (row["account"], row["mode"], row["symbol"], day, row["outcome"], row["reason"])


def _count(connection: Connection, group: dict[str, Any], many: int) -> None:
    same = [pruned.c[name] == value for name, value in group.items()]
    if not connection.execute(update(pruned).where(*same).values(many=pruned.c.many + many)).rowcount:
        connection.execute(insert(pruned).values(**group, many=many))
