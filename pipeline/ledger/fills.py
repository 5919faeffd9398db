"""Fills: each trade once, however often it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import ClientOrderId, DecisionId
from pipeline.domain.orders import Fill
from pipeline.ledger.repository import Repository, insert_once, reader
from pipeline.ledger.tables import fills as table
from pipeline.ledger.tables import orders

_values = reader(Fill)

_INSERT = insert_once(table)
_COLUMNS = select(*(table.c[field.name] for field in fields(Fill)))
_OF = _COLUMNS.where(table.c.decision_id == bindparam("id")).order_by(table.c.occurred_at, table.c.trade_id)
_OF_ORDER = _COLUMNS.where(table.c.client_order_id == bindparam("id")).order_by(
    table.c.occurred_at, table.c.trade_id
)
_TRADE_IDS = select(table.c.trade_id).where(
    table.c.account == bindparam("of_account"),
    table.c.symbol == bindparam("of_symbol"),
    table.c.occurred_at >= bindparam("since"),
)
_ORDER = (
    select(orders.c.mode, orders.c.fee, orders.c.fee_asset)
    .where(orders.c.client_order_id == bindparam("id"))
    .with_for_update()
)
_ADD_FEE = (
    update(orders)
    .where(orders.c.client_order_id == bindparam("id"))
    .values(fee=bindparam("new_fee"), fee_asset=bindparam("new_asset"))
)


class SqlFills(Repository):
    """Fulfils `ports.Fills`. A new fill adds its fee to its order, which has no other way to learn it."""

    __slots__ = ()

    def add(self, fill: Fill) -> bool:
        order = self._first(_ORDER, {"id": fill.client_order_id})
        if order is None:
            raise InvariantBroken(
                f"trade {fill.trade_id} on {fill.symbol} belongs to order {fill.client_order_id}, "
                f"which is not in the ledger"
            )
        if not self._changed(_INSERT, _values(fill) | {"mode": order["mode"]}):
            return False
        self._add_fee(fill, order)
        return True

    def _add_fee(self, fill: Fill, order: Mapping[str, Any]) -> None:
        """Fees in another asset than the first stay on their fills: they cannot be added up here."""
        if order["fee_asset"] not in {"", fill.fee_asset}:
            return
        fee = order["fee"] + fill.fee
        self._write(_ADD_FEE, {"id": fill.client_order_id, "new_fee": fee, "new_asset": fill.fee_asset})

    def of(self, decision_id: DecisionId) -> Sequence[Fill]:
        return [Fill(**row) for row in self._all(_OF, {"id": decision_id})]

    def of_order(self, client_order_id: ClientOrderId) -> Sequence[Fill]:
        return [Fill(**row) for row in self._all(_OF_ORDER, {"id": client_order_id})]

    def trade_ids(self, account: str, symbol: str, since: datetime) -> frozenset[str]:
        asked = {"of_account": account, "of_symbol": symbol, "since": since}
        return frozenset(row["trade_id"] for row in self._all(_TRADE_IDS, asked))
