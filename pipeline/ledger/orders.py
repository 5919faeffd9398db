"""Orders: written before they are sent, moved only along the table of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select, text, update
from sqlalchemy import insert as plain_insert

from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import ClientOrderId, DecisionId
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Brief, Order, OrderReport, OrderState, may_step
from pipeline.ledger.columns import UtcDateTime
from pipeline.ledger.repository import Query, Repository, bounded, every, insert_once, matching, reader
from pipeline.ledger.tables import IS_UNSETTLED, IS_WAITING, decisions, order_steps
from pipeline.ledger.tables import orders as table

_LEGS = list(Leg)

_values = reader(Order)

_INSERT = insert_once(table)
_GET = select(table).where(table.c.client_order_id == bindparam("id"))
_OF = select(table).where(table.c.decision_id == bindparam("id")).order_by(table.c.attempt)


_OF_EXITS = (
    select(table)
    .join(decisions, decisions.c.decision_id == table.c.decision_id)
    .where(decisions.c.opener == bindparam("of_opener"), decisions.c.opener.is_not(None))
    .order_by(table.c.created_at, table.c.attempt)
)


def _unless_null(column: str) -> Any:
    """The new value, or what stands there when there is none."""
    return func.coalesce(bindparam(f"new_{column}", type_=table.c[column].type), table.c[column])


_STEP = (
    update(table)
    .where(
        table.c.client_order_id == bindparam("id"),
        table.c.state == bindparam("before"),
        table.c.fence == bindparam("held"),
    )
    .values(
        state=bindparam("new_state"),
        resolved_at=bindparam("new_resolved_at"),
        **{
            column: _unless_null(column)
            for column in ("fence", "sent_at", "exchange_order_id", "filled_qty", "avg_price", "detail")
        },
    )
    .returning(table)
)
_NOTE_STEP = plain_insert(order_steps).inline()
_STEPS_OF = (
    select(order_steps)
    .where(order_steps.c.client_order_id == bindparam("id"))
    .order_by(order_steps.c.step_id)
)
_MISS = (
    update(table)
    .where(table.c.client_order_id == bindparam("id"))
    .values(
        misses=table.c.misses + 1,
        first_miss_at=func.coalesce(table.c.first_miss_at, bindparam("now", type_=UtcDateTime())),
        last_miss_at=bindparam("now"),
    )
    .returning(table)
)


def _oldest_first(statement: Select[Any]) -> Query[list[Order]]:
    """Sorted here, where they are few: for their order SQLite would read every order that there ever was."""
    return Query(statement, lambda rows: sorted((Order(**row) for row in rows), key=attrgetter("created_at")))


_UNSETTLED = select(table).where(table.c.account == bindparam("of_account"), text(IS_UNSETTLED))
UNSETTLED = _oldest_first(_UNSETTLED)
_ON_SYMBOL = table.c.symbol == bindparam("of_symbol")
ADDING_OR_ON = _oldest_first(_UNSETTLED.where(or_(table.c.reduce_only.is_(False), _ON_SYMBOL)))
"""Those that may add to what is held, and all of one symbol: each position has two guards, which add nothing."""
_UNSETTLED_ON = _oldest_first(_UNSETTLED.where(_ON_SYMBOL))
_NOT_WAITING = _UNSETTLED.where(text(f"NOT ({IS_WAITING})"))
UNDER_WAY, _UNDER_WAY_ON = _oldest_first(_NOT_WAITING), _oldest_first(_NOT_WAITING.where(_ON_SYMBOL))
_BRIEFS = every(_UNSETTLED.with_only_columns(*(table.c[name] for name in Brief._fields)), Brief)
RECENT = every(
    select(table)
    .where(
        table.c.account == bindparam("of_account"),
        table.c.symbol == bindparam("of_symbol"),
        table.c.created_at >= bindparam("since"),
        bounded(table.c.created_at),
    )
    .order_by(table.c.created_at.desc()),
    Order,
)


class SqlOrders(Repository):
    """Fulfils `ports.Orders`."""

    __slots__ = ()

    def add(self, order: Order) -> bool:
        return self._changed(_INSERT, _values(order))

    def get(self, client_order_id: ClientOrderId) -> Order | None:
        row = self._first(_GET, {"id": client_order_id})
        return None if row is None else Order(**row)

    def of(self, decision_id: DecisionId) -> Sequence[Order]:
        orders = [Order(**row) for row in self._all(_OF, {"id": decision_id})]
        return sorted(orders, key=lambda order: _LEGS.index(order.leg))

    def of_exits(self, opener: DecisionId) -> Sequence[Order]:
        return [Order(**row) for row in self._all(_OF_EXITS, {"of_opener": opener})]

    def step(
        self,
        order: Order,
        to: OrderState,
        at: datetime,
        *,
        fence: str | None = None,
        sent_at: datetime | None = None,
        report: OrderReport | None = None,
        detail: str = "",
    ) -> Order | None:
        if not may_step(order.state, to):
            raise InvariantBroken(
                f"order {order.client_order_id} of {order.decision_id} cannot go from {order.state} to {to}"
            )
        changes = _stepped(order, to, at) | _reported(report)
        changes["new_fence"] = fence
        changes["new_sent_at"] = _sent_at(to, at, sent_at)
        changes["new_detail"] = detail or None
        row = self._first(_STEP, changes)
        if row is None:
            return None
        after = Order(**row)
        self._note_step(order, after, at, detail)
        return after

    def _note_step(self, before: Order, after: Order, at: datetime, detail: str) -> None:
        step = {
            "client_order_id": after.client_order_id,
            "from_state": before.state,
            "to_state": after.state,
            "at": at,
            "fence": after.fence,
            "detail": detail,
        }
        self._write(_NOTE_STEP, step)

    def note_miss(self, client_order_id: ClientOrderId, at: datetime) -> Order:
        row = self._first(_MISS, {"id": client_order_id, "now": at})
        if row is None:
            raise InvariantBroken(f"order {client_order_id}, asked for on the exchange, is not in the ledger")
        return Order(**row)

    def unsettled(self, account: str, symbol: str | None = None) -> Sequence[Order]:
        query = UNSETTLED if symbol is None else _UNSETTLED_ON
        return self._ask(query, {"of_account": account, "of_symbol": symbol})

    def under_way(self, account: str, symbol: str | None = None) -> Sequence[Order]:
        query = UNDER_WAY if symbol is None else _UNDER_WAY_ON
        return self._ask(query, {"of_account": account, "of_symbol": symbol})

    def briefs(self, account: str) -> Sequence[Brief]:
        return self._ask(_BRIEFS, {"of_account": account})

    def recent(self, account: str, symbol: str, since: datetime) -> Sequence[Order]:
        return self._ask(RECENT, {"of_account": account, "of_symbol": symbol, "since": since})

    def latest(
        self, *, symbol: str | None = None, state: str | None = None, mode: str | None = None, limit: int = 50
    ) -> Sequence[Order]:
        statement = matching(table, symbol=symbol, state=state, mode=mode)
        newest = statement.order_by(table.c.created_at.desc(), table.c.client_order_id).limit(limit)
        return [Order(**row) for row in self._latest(newest)]

    def steps_of(self, client_order_id: ClientOrderId) -> Sequence[Mapping[str, object]]:
        rows = self._all(_STEPS_OF, {"id": client_order_id})
        return [
            {"from": row["from_state"], "to": row["to_state"], "at": row["at"], "detail": row["detail"]}
            for row in rows
        ]


def _stepped(order: Order, to: OrderState, at: datetime) -> dict[str, object]:
    return {
        "id": order.client_order_id,
        "before": order.state,
        "held": order.fence,
        "new_state": to,
        "new_resolved_at": at if to.is_final else None,
    }


def _reported(report: OrderReport | None) -> dict[str, object]:
    """What the exchange told; None keeps what is known."""
    return {
        "new_exchange_order_id": (report.exchange_order_id or None) if report else None,
        "new_filled_qty": report.filled_qty if report else None,
        "new_avg_price": report.avg_price if report else None,
    }


def _sent_at(to: OrderState, at: datetime, sent_at: datetime | None) -> datetime | None:
    """An order that goes out has a time of sending, whether or not the caller pinned another one."""
    return at if to is OrderState.SENDING and sent_at is None else sent_at
