"""The account's lists: ordinary orders, those that wait for a price, and what became of them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.orders import OrderState
from pipeline.exchange import reading
from tests.unit.exchange.canned import CLIENT_ID, NOON, canned, told_order

SYMBOL = "BTC/USDT:USDT"
D = Decimal


def ms(hours: float) -> int:
    """So many hours from noon."""
    return reading.to_milliseconds(NOON + timedelta(hours=hours))


def ordinary(**changes: object) -> dict[str, object]:
    """An order as the account's lists tell it."""
    told = {
        "side": "SELL",
        "type": "MARKET",
        "origQty": "0.010",
        "price": "0",
        "reduceOnly": True,
        "time": ms(0),
    }
    return told_order(**{**told, **changes})


def waiting(**changes: object) -> dict[str, object]:
    """A stop that waits, as Binance describes it."""
    return {
        "algoId": 5,
        "clientAlgoId": CLIENT_ID,
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.010",
        "algoStatus": "NEW",
        "actualOrderId": "",
        "triggerPrice": "59000.0",
        "reduceOnly": True,
        "createTime": ms(0),
        **changes,
    }


def test_open_orders_tell_what_waits_beside_what_rests() -> None:
    """A restored ledger knows neither."""
    exchange, http = canned()
    http.answer("/fapi/v1/openOrders", 200, [ordinary(clientOrderId="web_1", status="NEW", executedQty="0")])
    http.answer("/fapi/v1/openAlgoOrders", 200, [waiting()])
    rests, stop = exchange.open_orders()
    assert rests.client_order_id == "web_1"
    assert (stop.client_order_id, stop.type, stop.limit_price) == (CLIENT_ID, "STOP_MARKET", D("59000.0"))
    assert (stop.state, stop.reduce_only, stop.qty) == (OrderState.ACKED, True, D("0.010"))


def test_a_stop_that_was_set_off_is_told_once_with_what_it_filled() -> None:
    """Its trades carry the number of the order that it turned into; the quantity and id are those of the stop."""
    exchange, http = canned()
    http.answer("/fapi/v1/allOrders", 200, [ordinary(clientOrderId="theirs", orderId=77)])
    filled = waiting(algoStatus="FINISHED", actualOrderId="77", createTime=ms(-3))
    other = waiting(clientAlgoId="of long ago", createTime=ms(-3))
    http.answer("/fapi/v1/allAlgoOrders", 200, [filled, other])
    (told,) = exchange.orders_since(SYMBOL, NOON - timedelta(minutes=10))
    assert (told.client_order_id, told.exchange_order_id) == (CLIENT_ID, "77")
    assert (told.type, told.state, told.filled_qty) == ("STOP_MARKET", OrderState.FILLED, D("0.010"))


def test_a_full_page_of_conditional_orders_proves_nothing() -> None:
    """What was cut off may hold the stop that is looked for."""
    exchange, http = canned()
    http.answer("/fapi/v1/allOrders", 200, [])
    http.answer("/fapi/v1/allAlgoOrders", 200, [waiting()] * 1000)
    with pytest.raises(ExchangeUnavailable, match="cut off"):
        exchange.orders_since(SYMBOL, NOON)
