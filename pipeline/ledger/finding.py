"""From any id that people hold in their hands to the decision that it belongs to."""

from __future__ import annotations

from sqlalchemy import BindParameter, Connection, bindparam, select, union

from pipeline.domain.ids import DecisionId
from pipeline.ledger.tables import decisions, orders, permits, positions

PREFIX = "dec_"

_ID: BindParameter[str] = bindparam("id")
_BY_ID = union(
    select(decisions.c.decision_id).where(decisions.c.decision_id == _ID),
    select(orders.c.decision_id).where(orders.c.client_order_id == _ID),
    select(orders.c.decision_id).where(orders.c.exchange_order_id == _ID),
    select(permits.c.decision_id).where(permits.c.permit_id == _ID),
    select(positions.c.opened_by).where(positions.c.position_id == _ID),
)
_BY_PREFIX = (
    select(decisions.c.decision_id)
    .where(decisions.c.decision_id >= bindparam("low"), decisions.c.decision_id < bindparam("high"))
    .order_by(decisions.c.decision_id.desc())
    .limit(bindparam("at_most"))
)


def find_decisions(connection: Connection, text: str, at_most: int) -> list[DecisionId]:
    """By decision id (or a beginning of one), task id, client order id, the exchange's order id, permit id or position
    id (that is the decision that opened it). Of those that begin so, the newest.
    """
    wanted = text.strip()
    if wanted.startswith(PREFIX):
        wanted = wanted.partition(".")[0]  # a task id is the decision's with its stage behind a dot
    if not wanted:
        return []
    found = connection.execute(_BY_ID, {"id": wanted}).scalars().all()
    if not found and wanted.startswith(PREFIX):
        span = {
            "low": wanted,
            "high": wanted + "\N{DELETE}",
            "at_most": at_most,
        }  # ids are ASCII letters, digits and underscores
        found = connection.execute(_BY_PREFIX, span).scalars().all()
    return [DecisionId(each) for each in found]
