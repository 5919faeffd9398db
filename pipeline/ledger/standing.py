"""How an account stands, read at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select, text

from pipeline.domain.checks import CheckCode
from pipeline.domain.guards import Activity
from pipeline.domain.orders import OrderState
from pipeline.domain.standing import Horizon, Standing
from pipeline.ledger.columns import UtcDateTime
from pipeline.ledger.guards import COMPARED, HASHES, LATCHES, MARKS
from pipeline.ledger.orders import ADDING_OR_ON, RECENT
from pipeline.ledger.permits import RESERVING
from pipeline.ledger.positions import LATEST_EQUITY, OPEN_OF_ACCOUNT
from pipeline.ledger.repository import Query, bounded
from pipeline.ledger.switches import ON, STATE
from pipeline.ledger.tables import IS_IN_TROUBLE, TAKES_RISK, WAS_LOST, latches, orders, positions
from pipeline.ledger.together import ask_together

LENGTHS = {"second": timedelta(seconds=1), "minute": timedelta(minutes=1), "day": timedelta(days=1)}


def standing(connection: Connection, account: str, symbol: str, now: datetime, horizon: Horizon) -> Standing:
    """Fulfils `ports.Unit.standing`."""
    of = {"of_account": account, "of_symbol": symbol, "now": now}
    return Standing(**ask_together(connection, _QUERIES, of | _since_when(now, horizon)))


def _since_when(now: datetime, horizon: Horizon) -> dict[str, datetime]:
    began = {name: now - length for name, length in LENGTHS.items()}
    return began | {
        "since": horizon.orders,
        "beating_since": horizon.beats,
        "latch": horizon.latch,
        "losses_since": horizon.losses,
    }


# ---------------------------------------------------------------------------------------------- activity


def _since(name: str) -> Any:
    return bindparam(name, type_=UtcDateTime())


_REARMED = (
    select(latches.c.changed_at)
    .where(
        latches.c.account == bindparam("of_account"),
        latches.c.code == CheckCode.LATCHED,
        latches.c.tripped.is_(False),
    )
    .scalar_subquery()
)


def _counts_for_latch(at: Any) -> Any:
    """Within the latch's window, and since somebody re-armed it."""
    return and_(at >= _since("latch"), or_(_REARMED.is_(None), at >= _REARMED))


def _count(*conditions: Any) -> Any:
    """How many orders of the account: each count looks into an index of those that it could count. An entry brings a
    stop and a target, so most orders are neither risk nor trouble.
    """
    of_account = orders.c.account == bindparam("of_account")
    counted = select(func.count()).select_from(orders)
    return counted.where(of_account, bounded(orders.c.created_at), *conditions).scalar_subquery()


def _risks(*conditions: Any) -> Any:
    """What is limited is how often risk is taken; guards move with the market."""
    return _count(text(TAKES_RISK), *conditions)


def _troubles(*states: OrderState) -> Any:
    among = or_(*(orders.c.state == state for state in states))
    return _count(text(IS_IN_TROUBLE), among, _counts_for_latch(orders.c.created_at))


def _lost(what: Any, *conditions: Any) -> Any:
    """Of the account's positions that were closed with a loss."""
    of_account = positions.c.account == bindparam("of_account")
    found = select(what).select_from(positions).where(of_account, text(WAS_LOST), *conditions)
    return found.where(bounded(positions.c.closed_at)).scalar_subquery()


ACTIVITY: Query[Activity] = Query(
    select(
        *(_risks(orders.c.created_at >= _since(name)).label(f"last_{name}") for name in LENGTHS),
        _troubles(OrderState.REJECTED).label("rejects"),
        _troubles(OrderState.UNKNOWN, OrderState.NOT_PLACED).label("unknowns"),
        _risks(_counts_for_latch(orders.c.created_at), orders.c.symbol == bindparam("of_symbol")).label(
            "on_symbol"
        ),
        _lost(func.count(), _counts_for_latch(positions.c.closed_at)).label("losses"),
        _lost(
            func.max(positions.c.closed_at),
            positions.c.closed_at >= _since("losses_since"),
            positions.c.symbol == bindparam("of_symbol"),
        ).label("last_loss_at"),
    ),
    lambda rows: Activity(**rows[0]),
)


_QUERIES: dict[str, Query[Any]] = {
    "equity": LATEST_EQUITY,
    "positions": OPEN_OF_ACCOUNT,
    "unsettled": ADDING_OR_ON,
    "reserving": RESERVING,
    "recent": RECENT,
    "kill_switches": ON,
    "trading_state": STATE,
    "latches": LATCHES,
    "marks": MARKS,
    "reconciliation": COMPARED,
    "config_hashes": HASHES,
    "activity": ACTIVITY,
}
