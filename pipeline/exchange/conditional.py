"""Orders that wait for a trigger price, in Binance's words: they have endpoints, ids and states of their own.

While it waits such an order is known by its `algoId`. Once triggered it becomes an ordinary order with an id of its own
(`actualOrderId`), and only that one knows what was filled.

Source: Binance, USD-M futures, "New Algo Order", "Query Algo Order".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import OrderType
from pipeline.domain.orders import ListedOrder, Order, OrderReport, OrderState
from pipeline.domain.permits import normal
from pipeline.domain.signals import Side
from pipeline.exchange.reading import Row, exact, instant, row, rows, text

TYPES: Mapping[OrderType, str] = {
    OrderType.STOP_MARKET: "STOP_MARKET",
    OrderType.TAKE_PROFIT_MARKET: "TAKE_PROFIT_MARKET",
}
STATES: Mapping[str, OrderState] = {
    "NEW": OrderState.ACKED,
    "TRIGGERING": OrderState.ACKED,
    "TRIGGERED": OrderState.ACKED,
    "FINISHED": OrderState.ACKED,  # what became of it stands with the order that it has become
    "CANCELED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "REJECTED": OrderState.REJECTED,
}


@dataclass(frozen=True, slots=True)
class Conditional:
    """`became` is the id of the order that it has turned into; empty while it waits, or if it never will."""

    report: OrderReport
    became: str

    def filled(self, behind: OrderReport) -> OrderReport:
        """What the order behind it tells, under the client order id that is ours."""
        return replace(behind, client_order_id=self.report.client_order_id)


def submission(order: Order, market_id: str) -> dict[str, object]:
    """The order in the exchange's words, every number as the exact text of its Decimal."""
    question: dict[str, object] = {
        "algoType": "CONDITIONAL",
        "symbol": market_id,
        "side": order.side.value.upper(),
        "type": TYPES[order.type],
        "quantity": normal(order.qty),
        "triggerPrice": normal(order.limit_price),
        "clientAlgoId": order.client_order_id,
    }
    if order.reduce_only:
        question["reduceOnly"] = "true"
    return question


def conditional(data: object) -> Conditional:
    """Raises KeyError, TypeError, ValueError when the row is not what it should be, or its state is unknown."""
    told = row(data)
    became = str(told.get("actualOrderId") or "")
    state = STATES[text(told["algoStatus"])]
    report = OrderReport(
        client_order_id=ClientOrderId(text(told["clientAlgoId"])),
        exchange_order_id=became or text(told["algoId"]),
        state=state,
        filled_qty=Decimal(0),
        avg_price=None,
    )
    return Conditional(report, became)


def report(data: object) -> OrderReport:
    """The answer to a new one: it waits."""
    return conditional(data).report


def listed_orders(
    data: object, symbols: Mapping[str, str], ordinary: Sequence[ListedOrder], since: datetime
) -> list[ListedOrder]:
    """The conditional orders of one of the account's lists, whoever placed them, and the ordinary ones beside them.

    What a conditional order has turned into is no order of its own: the conditional one tells what became of it, also
    when it was placed before `since`.
    """
    behind = {each.exchange_order_id: each for each in ordinary}
    told = [(item, conditional(item)) for item in rows(data)]
    became = {each.became for _, each in told}
    return [
        *(each for each in ordinary if each.exchange_order_id not in became),
        *(
            _listed_order(item, each, symbols, behind.get(each.became))
            for item, each in told
            if instant(item["createTime"]) >= since or each.became in behind
        ),
    ]


def _listed_order(
    data: Row, told: Conditional, symbols: Mapping[str, str], behind: ListedOrder | None
) -> ListedOrder:
    report, market_id = told.filled(behind.report) if behind else told.report, text(data["symbol"])
    return ListedOrder(
        symbol=symbols.get(market_id, market_id),
        client_order_id=report.client_order_id,
        exchange_order_id=report.exchange_order_id,
        side=Side(text(data["side"]).lower()),
        type=text(data["orderType"]),
        qty=exact(data["quantity"]),
        limit_price=exact(data["triggerPrice"]),
        reduce_only=data.get("reduceOnly") is True,
        state=report.state,
        filled_qty=report.filled_qty,
        avg_price=report.avg_price,
        occurred_at=instant(data["createTime"]),
    )


def cancelled(data: object) -> ClientOrderId | None:
    """Which order a cancellation has ended; None when the answer does not say that it did."""
    return client_id(data) if row(data).get("code") == "200" else None


def client_id(data: object) -> ClientOrderId:
    return ClientOrderId(text(row(data)["clientAlgoId"]))
