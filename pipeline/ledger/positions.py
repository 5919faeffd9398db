"""Positions and equity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, bindparam, exists, func, or_, select, text

from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import DecisionId, digest
from pipeline.domain.intents import Leg
from pipeline.domain.positions import Equity, Position
from pipeline.ledger.repository import (
    Query,
    Repository,
    every,
    every_often,
    insert,
    insert_once,
    matching,
    one,
    reader,
)
from pipeline.ledger.tables import IS_UNSETTLED, IS_WAITING, equity, orders
from pipeline.ledger.tables import positions as table

_values, _equity_values = reader(Position), reader(Equity)

_COLUMNS = [column for column in table.c if column.name != "lost"]
"""Those of a record: what was lost is told again beside it, for who counts."""
POSITIONS = select(*_COLUMNS)

_INSERT = insert(table)
_SAVE = _INSERT.on_conflict_do_update(
    index_elements=["position_id"],
    set_={name: _INSERT.excluded[name] for name in table.c.keys() if name != "position_id"},  # noqa: SIM118
    where=table.c.closed_at.is_(None),
)
_GET = POSITIONS.where(table.c.position_id == bindparam("id"))
_LOCK = _GET.with_for_update()
_LOCK_SYMBOL = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))
_OPEN = POSITIONS.where(table.c.closed_at.is_(None)).order_by(table.c.symbol)
_OF_ACCOUNT = _OPEN.where(table.c.account == bindparam("of_account"))
ALL_OPEN, OPEN_OF_ACCOUNT = every(_OPEN, Position), every_often(_OF_ACCOUNT, Position)
_OPEN_OF = _OF_ACCOUNT.where(table.c.symbol == bindparam("of_symbol"))
UNPROTECTED = Query(
    select(table.c.symbol, table.c.opened_at)
    .where(
        table.c.account == bindparam("of_account"),
        table.c.closed_at.is_(None),
        ~exists().where(
            orders.c.account == table.c.account,
            orders.c.symbol == table.c.symbol,
            text(IS_UNSETTLED),
            orders.c.leg == Leg.STOP,
            text(IS_WAITING),
        ),
    )
    .order_by(table.c.symbol),
    lambda rows: {row["symbol"]: row["opened_at"] for row in rows},
)
_TOUCHED = POSITIONS.where(
    or_(table.c.opened_by == bindparam("id"), table.c.closed_by == bindparam("id"))
).order_by(table.c.opened_at)

_ADD_EQUITY = insert_once(equity)
LATEST_EQUITY = one(
    select(equity)
    .where(equity.c.account == bindparam("of_account"))
    .order_by(equity.c.occurred_at.desc())
    .limit(1),
    Equity,
)


class SqlPositions(Repository):
    """Fulfils `ports.Positions`."""

    __slots__ = ()

    def lock_symbol(self, account: str, symbol: str) -> None:
        # A writing unit on SQLite is alone anyway; on PostgreSQL there may be no row yet that could be locked.
        if self._connection.dialect.name == "postgresql":
            self._first(_LOCK_SYMBOL, {"key": _key_of(account, symbol)})

    def open_of(self, account: str, symbol: str) -> Position | None:
        row = self._first(_OPEN_OF, {"of_account": account, "of_symbol": symbol})
        return None if row is None else Position(**row)

    def all_open(self, account: str | None = None) -> Sequence[Position]:
        return self._ask(ALL_OPEN if account is None else OPEN_OF_ACCOUNT, {"of_account": account})

    def unprotected(self, account: str) -> Mapping[str, datetime]:
        return self._ask(UNPROTECTED, {"of_account": account})

    def save(self, position: Position) -> None:
        if not self._changed(_SAVE, {**_values(position), "lost": position.lost}):
            raise InvariantBroken(f"position {position.position_id} on {position.symbol} is closed already")

    def get(self, position_id: str) -> Position | None:
        row = self._first(_GET, {"id": position_id})
        return None if row is None else Position(**row)

    def lock(self, position_id: str) -> Position | None:
        row = self._first(_LOCK, {"id": position_id})
        return None if row is None else Position(**row)

    def touched_by(self, decision_id: DecisionId) -> Sequence[Position]:
        return [Position(**row) for row in self._all(_TOUCHED, {"id": decision_id})]

    def latest(
        self,
        *,
        account: str | None = None,
        symbol: str | None = None,
        mode: str | None = None,
        limit: int = 50,
    ) -> Sequence[Position]:
        newest = matching(table, account=account, symbol=symbol, mode=mode).order_by(
            table.c.closed_at.is_not(None), table.c.opened_at.desc(), table.c.position_id
        )
        records = newest.limit(limit).with_only_columns(*_COLUMNS)
        return [Position(**row) for row in self._latest(records)]


def _key_of(account: str, symbol: str) -> int:
    """What PostgreSQL knows the symbol's lock by: a signed number of 64 bits."""
    return int.from_bytes(bytes.fromhex(digest("symbol", account, symbol))[:8], signed=True)


class SqlEquityCurve(Repository):
    """Fulfils `ports.EquityCurve`. The same instant told twice is kept once."""

    __slots__ = ()

    def add(self, equity: Equity) -> None:
        self._write(_ADD_EQUITY, _equity_values(equity))

    def latest(self, account: str) -> Equity | None:
        return self._ask(LATEST_EQUITY, {"of_account": account})
