"""What Bybit, OKX and Kraken answer to an order that they took: an id, and nothing about fills.

The order counts as open from then on; asking for it tells the rest. Every function raises KeyError,
TypeError, ValueError or IndexError when the answer is not what it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pipeline.domain.ids import ClientOrderId
from pipeline.domain.orders import Order, OrderReport, OrderState
from pipeline.exchange.reading import row, rows


def bybit(data: object) -> OrderReport:
    """`{"retCode": 0, "result": {"orderId": ..., "orderLinkId": ...}}`."""
    result = row(row(data)["result"])
    return _taken(result["orderLinkId"], result["orderId"])


def okx(data: object) -> OrderReport:
    """`{"code": "0", "data": [{"ordId": ..., "clOrdId": ..., "sCode": "0"}]}`."""
    taken = rows(row(data)["data"])[0]
    if taken["sCode"] != "0":
        raise ValueError("the order itself was not taken")
    return _taken(taken["clOrdId"], taken["ordId"])


def kraken(order: Order) -> Callable[[object], OrderReport]:
    """`{"error": [], "result": {"txid": [...]}}`: no echo of ours, but one id of theirs for one request."""

    def read(data: object) -> OrderReport:
        (taken,) = row(row(data)["result"])["txid"]
        return _taken(order.client_order_id, taken)

    return read


def _taken(client_order_id: object, exchange_order_id: object) -> OrderReport:
    if not isinstance(client_order_id, str) or not isinstance(exchange_order_id, str):
        raise TypeError("an id is no text")
    return OrderReport(
        client_order_id=ClientOrderId(client_order_id),
        exchange_order_id=exchange_order_id,
        state=OrderState.ACKED,
        filled_qty=Decimal(0),
        avg_price=None,
    )
