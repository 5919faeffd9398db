"""Orders, conditional orders, cancels and trades."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from simulator import errors
from simulator.errors import ApiError
from simulator.orders import (
    ZERO,
    AlgoOrder,
    AlgoStatus,
    Order,
    OrderRequest,
    OrderType,
    Side,
    Status,
    TimeInForce,
    Trade,
)
from simulator.params import Params
from simulator.weights import by_symbol, flat
from simulator.wire import Json, ack_json, algo_json, order_json, stored_order_json, trade_json
from simulator.world import Ask, Route

Item = TypeVar("Item")
CLIENT_ID = re.compile(r"[\.A-Z\:/a-z0-9_-]{1,36}")
WORKING_TYPES = ("CONTRACT_PRICE", "MARK_PRICE")
DONE: Json = {"code": 200, "msg": "The operation of cancel all open order is done."}
DAY_MS = 86_400_000
FORGOTTEN_AFTER_MS = 3 * DAY_MS
"""How long after it was placed an order is told of that was cancelled, or expired, without a trade."""
LONGEST_SPAN_MS = 7 * DAY_MS
"""What one question for a list may span."""


def parse_order(params: Params, kind: OrderType, id_name: str, trigger_name: str) -> OrderRequest:
    """The order that a request describes. Raises: ApiError naming the parameter."""
    close = params.flag("closePosition")
    if close and params.get("quantity") is not None:
        raise ApiError(errors.NOT_REQUIRED, "quantity")
    if (params.get("positionSide") or "BOTH") != "BOTH":
        raise ApiError(errors.WRONG_POSITION_SIDE)
    return OrderRequest(
        symbol=params.need("symbol").upper(),
        side=params.choice("side", Side, errors.BAD_SIDE),
        type=kind,
        qty=ZERO if close else needed(params, "quantity"),
        price=needed(params, "price") if kind.has_price else None,
        time_in_force=parse_time_in_force(params, kind),
        client_id=parse_client_id(params, id_name),
        reduce_only=params.flag("reduceOnly"),
        close_position=close,
        trigger=needed(params, trigger_name) if kind.is_conditional else None,
        working_type=parse_working_type(params),
    )


def needed(params: Params, name: str) -> Decimal:
    value = params.decimal(name)
    if value is None:
        raise ApiError(errors.MISSING_PARAMETER, name)
    return value


def parse_time_in_force(params: Params, kind: OrderType) -> TimeInForce:
    """Limit orders need one on the order endpoint; conditional and market orders default to GTC."""
    if kind is OrderType.LIMIT or params.get("timeInForce"):
        return params.choice("timeInForce", TimeInForce, errors.BAD_TIME_IN_FORCE)
    return TimeInForce.GTC


def parse_client_id(params: Params, name: str) -> str:
    text = params.get(name) or secrets.token_hex(11)
    if not CLIENT_ID.fullmatch(text):
        raise ApiError(errors.BAD_CLIENT_ID)
    return text


def parse_working_type(params: Params) -> str:
    text = params.get("workingType") or WORKING_TYPES[0]
    if text not in WORKING_TYPES:
        raise ApiError(errors.BAD_PARAMETER, "workingType")
    return text


def new_order(ask: Ask) -> object:
    kind = ask.params.choice("type", OrderType, errors.BAD_ORDER_TYPE)
    if kind.is_conditional:
        raise ApiError(errors.USE_ALGO_ORDER)
    request = parse_order(ask.params, kind, "newClientOrderId", "stopPrice")
    if request.close_position:
        raise ApiError(errors.NOT_REQUIRED, "closePosition")
    instrument = ask.world.market.instrument(request.symbol)
    order = ask.world.engine.place(ask.account, request, ask.now_ms, ask.fraction)
    full = (ask.params.get("newOrderRespType") or "ACK").upper() == "RESULT"
    return order_json(order, instrument) if full else ack_json(order, instrument)


def test_order(ask: Ask) -> object:
    """Checks the parameters, places nothing."""
    kind = ask.params.choice("type", OrderType, errors.BAD_ORDER_TYPE)
    request = parse_order(ask.params, kind, "newClientOrderId", "stopPrice")
    ask.world.market.instrument(request.symbol)
    return {}


def new_algo(ask: Ask) -> object:
    if (ask.params.need("algoType")) != "CONDITIONAL":
        raise ApiError(errors.BAD_PARAMETER, "algoType")
    kind = ask.params.choice("type", OrderType, errors.BAD_ORDER_TYPE)
    if not kind.is_conditional:
        raise ApiError(errors.BAD_ORDER_TYPE)
    request = parse_order(ask.params, kind, "clientAlgoId", "triggerPrice")
    instrument = ask.world.market.instrument(request.symbol)
    return algo_json(ask.world.engine.place_algo(ask.account, request, ask.now_ms), instrument)


def find_order(ask: Ask, refusal: errors.Refusal) -> Order:
    """By orderId or origClientOrderId; of several orders with one client id the latest. Raises: ApiError."""
    symbol = ask.params.need("symbol").upper()
    ask.world.market.instrument(symbol)
    order_id, client_id = ask.params.whole("orderId"), ask.params.get("origClientOrderId")
    if order_id is None and client_id is None:
        raise ApiError(errors.MISSING_PARAMETER, "origClientOrderId")
    orders = ask.account.orders
    same_id = orders.by_client.get(client_id or "", [None])
    order = orders.by_id.get(order_id) if order_id is not None else same_id[-1]
    if order is None or order.request.symbol != symbol or is_forgotten(ask, order):
        raise ApiError(refusal)
    return order


def find_algo(ask: Ask, refusal: errors.Refusal) -> AlgoOrder:
    algo_id, client_id = ask.params.whole("algoId"), ask.params.get("clientAlgoId")
    if algo_id is None and client_id is None:
        raise ApiError(errors.MISSING_PARAMETER, "algoId")
    orders = ask.account.orders
    same_id = orders.algos_by_client.get(client_id or "", [None])
    algo = orders.algos.get(algo_id) if algo_id is not None else same_id[-1]
    if algo is None or is_forgotten(ask, algo):
        raise ApiError(refusal)
    return algo


def is_forgotten(ask: Ask, order: Order | AlgoOrder) -> bool:
    """Whether it ended without a trade, and was placed so long ago that the exchange tells nothing of it any more."""
    if isinstance(order, Order):
        ended = order.status in {Status.CANCELED, Status.EXPIRED} and not order.executed
    else:
        ended = order.status in {AlgoStatus.CANCELED, AlgoStatus.EXPIRED}
    return ended and ask.now_ms - order.created_ms > FORGOTTEN_AFTER_MS


def get_order(ask: Ask) -> object:
    return stored(ask, find_order(ask, errors.NO_SUCH_ORDER))


def get_open_order(ask: Ask) -> object:
    order = find_order(ask, errors.NO_SUCH_ORDER)
    if not order.status.is_open:
        raise ApiError(errors.NO_SUCH_ORDER)
    return stored(ask, order)


def stored(ask: Ask, order: Order) -> Json:
    return stored_order_json(order, ask.world.market.instrument(order.request.symbol))


def delete_order(ask: Ask) -> object:
    order = find_order(ask, errors.UNKNOWN_CANCEL)
    return stored(ask, ask.world.engine.cancel(ask.account, order, ask.now_ms))


def delete_all(ask: Ask) -> object:
    symbol = ask.params.need("symbol").upper()
    ask.world.market.instrument(symbol)
    ask.world.engine.cancel_all(ask.account, symbol, ask.now_ms)
    return DONE


def get_algo(ask: Ask) -> object:
    return algo_row(ask, find_algo(ask, errors.NO_SUCH_ORDER))


def algo_row(ask: Ask, algo: AlgoOrder) -> Json:
    return algo_json(algo, ask.world.market.instrument(algo.request.symbol))


def delete_algo(ask: Ask) -> object:
    algo = ask.world.engine.cancel_algo(ask.account, find_algo(ask, errors.UNKNOWN_CANCEL), ask.now_ms)
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.request.client_id,
        "code": "200",
        "msg": "success",
    }


def delete_all_algos(ask: Ask) -> object:
    symbol = ask.params.need("symbol").upper()
    ask.world.market.instrument(symbol)
    for algo in ask.account.orders.open_algos.of(symbol):
        ask.world.engine.cancel_algo(ask.account, algo, ask.now_ms)
    return DONE


def open_orders(ask: Ask) -> object:
    symbol = asked_symbol(ask)
    orders = ask.account.orders.open
    return [stored(ask, order) for order in (orders.of(symbol) if symbol else orders.values())]


def open_algos(ask: Ask) -> object:
    symbol = asked_symbol(ask)
    algos = ask.account.orders.open_algos
    return [algo_row(ask, algo) for algo in (algos.of(symbol) if symbol else algos.values())]


def asked_symbol(ask: Ask) -> str | None:
    symbol = ask.params.get("symbol")
    return ask.world.market.instrument(symbol.upper()).symbol if symbol else None


def all_orders(ask: Ask) -> object:
    check_span(ask)
    every = ask.account.orders.by_id.values()
    orders = [order for order in every if in_range(ask, order) and not is_forgotten(ask, order)]
    return [stored(ask, order) for order in page(ask, orders)]


def in_range(ask: Ask, order: Order) -> bool:
    params = ask.params
    if order.request.symbol != params.need("symbol").upper():
        return False
    first_id = params.whole("orderId")
    if first_id is not None:
        return order.order_id >= first_id
    return within_times(params, order.created_ms)


def check_span(ask: Ask) -> None:
    """Raises: ApiError when more than a week is asked for at once."""
    start, end = ask.params.whole("startTime"), ask.params.whole("endTime")
    if start is not None and (ask.now_ms if end is None else end) - start > LONGEST_SPAN_MS:
        raise ApiError(errors.SPAN_TOO_LONG, LONGEST_SPAN_MS // DAY_MS)


def within_times(params: Params, at_ms: int) -> bool:
    start, end = params.whole("startTime"), params.whole("endTime")
    return (start is None or at_ms >= start) and (end is None or at_ms <= end)


def all_algos(ask: Ask) -> object:
    check_span(ask)
    symbol = ask.params.need("symbol").upper()
    algos = [
        algo
        for algo in ask.account.orders.algos.values()
        if algo.request.symbol == symbol
        and within_times(ask.params, algo.created_ms)
        and not is_forgotten(ask, algo)
    ]
    return [algo_row(ask, algo) for algo in page(ask, algos)]


def user_trades(ask: Ask) -> object:
    check_span(ask)
    symbol = ask.params.need("symbol").upper()
    instrument = ask.world.market.instrument(symbol)
    trades = ask.account.orders.trades_of.get(symbol, [])
    wanted = wanted_trades(ask.params)
    return [trade_json(trade, instrument) for trade in page(ask, list(filter(wanted, trades)))]


def wanted_trades(params: Params) -> Callable[[Trade], bool]:
    """Raises: ApiError naming the parameter."""
    order_id, first_id = params.whole("orderId"), params.whole("fromId") or 0
    start_ms, end_ms = params.whole("startTime") or 0, params.whole("endTime")

    def wanted(trade: Trade) -> bool:
        return (
            (order_id is None or trade.order_id == order_id)
            and trade.trade_id >= first_id
            and trade.at_ms >= start_ms
            and (end_ms is None or trade.at_ms <= end_ms)
        )

    return wanted


def page(ask: Ask, items: list[Item]) -> list[Item]:
    """The oldest from a start, else the latest."""
    count = ask.params.whole_within("limit", 500, 1, 1000)
    from_start = any(ask.params.get(name) for name in ("startTime", "fromId", "orderId"))
    return items[:count] if from_start else items[-count:]


def countdown(ask: Ask) -> object:
    """Cancel all orders of a symbol when the countdown is not renewed in time; 0 stops it."""
    symbol = ask.world.market.instrument(ask.params.need("symbol").upper()).symbol
    after_ms = ask.params.whole("countdownTime")
    if after_ms is None:
        raise ApiError(errors.MISSING_PARAMETER, "countdownTime")
    if after_ms < 0:
        raise ApiError(errors.BAD_PARAMETER, "countdownTime")
    deadline = ask.now_ms + after_ms if after_ms else None
    ask.world.sweeper.set_countdown(ask.account, symbol, deadline)
    return {"symbol": symbol, "countdownTime": str(after_ms)}


ROUTES = {
    ("POST", "/fapi/v1/order"): Route(new_order, flat(0), signed=True, places_order=True),
    ("POST", "/fapi/v1/order/test"): Route(test_order, flat(1), signed=True),
    ("GET", "/fapi/v1/order"): Route(get_order, flat(1), signed=True),
    ("DELETE", "/fapi/v1/order"): Route(delete_order, flat(1), signed=True),
    ("GET", "/fapi/v1/openOrder"): Route(get_open_order, flat(1), signed=True),
    ("GET", "/fapi/v1/openOrders"): Route(open_orders, by_symbol(1, 40), signed=True),
    ("GET", "/fapi/v1/allOrders"): Route(all_orders, flat(5), signed=True),
    ("DELETE", "/fapi/v1/allOpenOrders"): Route(delete_all, flat(1), signed=True),
    ("GET", "/fapi/v1/userTrades"): Route(user_trades, flat(5), signed=True),
    ("POST", "/fapi/v1/countdownCancelAll"): Route(countdown, flat(10), signed=True),
    ("POST", "/fapi/v1/algoOrder"): Route(new_algo, flat(0), signed=True, places_order=True),
    ("GET", "/fapi/v1/algoOrder"): Route(get_algo, flat(1), signed=True),
    ("DELETE", "/fapi/v1/algoOrder"): Route(delete_algo, flat(1), signed=True),
    ("GET", "/fapi/v1/openAlgoOrders"): Route(open_algos, by_symbol(1, 40), signed=True),
    ("GET", "/fapi/v1/allAlgoOrders"): Route(all_algos, flat(5), signed=True),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Route(delete_all_algos, flat(1), signed=True),
}
