"""Orders, trades, positions and balances in the shapes of Binance's answers."""

from __future__ import annotations

from decimal import Decimal

from simulator.account import Account, Margin, Position
from simulator.instruments import Instrument
from simulator.orders import ZERO, AlgoOrder, Order, OrderType, Status, Trade

Json = dict[str, object]
MONEY = 8


def number(value: Decimal, places: int) -> str:
    return f"{value:.{places}f}"


def money(value: Decimal) -> str:
    return f"{value:.{MONEY}f}"


def order_json(order: Order, instrument: Instrument) -> Json:
    """The answer to a new order with newOrderRespType RESULT, and the core of every other one."""
    request, price, qty = order.request, instrument.price_digits, instrument.qty_digits
    return {
        "orderId": order.order_id,
        "symbol": request.symbol,
        "status": order.status.value,
        "clientOrderId": request.client_id,
        "price": number(request.price or ZERO, price),
        "avgPrice": number(order.avg_price, max(5, price)),
        "origQty": number(order.qty, qty),
        "executedQty": number(order.executed, qty),
        "cumQty": number(order.executed, qty),
        "cumQuote": number(order.quote, max(5, price)),
        "timeInForce": request.time_in_force.value,
        "type": request.type.value,
        "reduceOnly": request.reduce_only,
        "closePosition": request.close_position,
        "side": request.side.value,
        "positionSide": "BOTH",
        "stopPrice": number(ZERO, price),
        "workingType": request.working_type,
        "priceProtect": False,
        "origType": order.orig_type.value,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "updateTime": order.updated_ms,
    }


def stored_order_json(order: Order, instrument: Instrument) -> Json:
    """As answered by queries: with the time of acceptance."""
    return order_json(order, instrument) | {"time": order.created_ms}


def ack_json(order: Order, instrument: Instrument) -> Json:
    """newOrderRespType ACK: accepted, what became of it is not said yet."""
    price, qty = instrument.price_digits, instrument.qty_digits
    nothing = {
        "status": Status.NEW.value,
        "avgPrice": number(ZERO, 2),
        "executedQty": number(ZERO, qty),
        "cumQty": number(ZERO, qty),
        "cumQuote": number(ZERO, max(5, price)),
    }
    return order_json(order, instrument) | nothing


def algo_json(algo: AlgoOrder, instrument: Instrument) -> Json:
    request, price, qty = algo.request, instrument.price_digits, instrument.qty_digits
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": request.client_id,
        "algoType": "CONDITIONAL",
        "orderType": request.type.value,
        "symbol": request.symbol,
        "side": request.side.value,
        "positionSide": "BOTH",
        "timeInForce": request.time_in_force.value,
        "quantity": number(request.qty, qty),
        "algoStatus": algo.status.value,
        "actualOrderId": "" if algo.order_id is None else str(algo.order_id),
        "actualPrice": number(algo.order_avg_price, max(5, price)),
        "triggerPrice": number(algo.trigger, price),
        "price": number(request.price or ZERO, price),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": request.working_type,
        "priceMatch": "NONE",
        "closePosition": request.close_position,
        "priceProtect": False,
        "reduceOnly": request.reduce_only,
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": 0,
    }


def trade_json(trade: Trade, instrument: Instrument) -> Json:
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "side": trade.side.value,
        "price": number(trade.price, instrument.price_digits),
        "qty": number(trade.qty, instrument.qty_digits),
        "realizedPnl": money(trade.realised),
        "quoteQty": money(trade.qty * trade.price),
        "commission": money(trade.fee),
        "commissionAsset": "USDT",
        "time": trade.at_ms,
        "positionSide": "BOTH",
        "buyer": trade.side == "BUY",
        "maker": trade.maker,
    }


def position_json(account: Account, instrument: Instrument, mark: Decimal) -> Json:
    """A row of positionRisk; v2 and v3 in one, clients take what they know."""
    symbol = instrument.symbol
    position = account.positions.get(symbol) or Position()
    leverage = account.leverage(symbol)
    notional = position.qty * mark
    isolated = symbol in account.isolated
    return {
        "symbol": symbol,
        "positionSide": "BOTH",
        "positionAmt": number(position.qty, instrument.qty_digits),
        "entryPrice": number(position.entry_price, max(5, instrument.price_digits)),
        "breakEvenPrice": number(position.entry_price, max(5, instrument.price_digits)),
        "markPrice": money(mark),
        "unRealizedProfit": money(position.unrealised(mark)),
        "liquidationPrice": "0",
        "leverage": str(leverage),
        "maxNotionalValue": "5000000",
        "marginType": "isolated" if isolated else "cross",
        "isolatedMargin": money(ZERO),
        "isAutoAddMargin": "false",
        "notional": money(notional),
        "marginAsset": "USDT",
        "isolatedWallet": "0",
        "initialMargin": money(abs(notional) / leverage),
        "maintMargin": money(abs(notional) * Decimal("0.005")),
        "positionInitialMargin": money(abs(notional) / leverage),
        "openOrderInitialMargin": "0",
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
        "isolated": isolated,
        "updateTime": position.updated_ms,
    }


def asset_json(margin: Margin, now_ms: int) -> Json:
    """The one asset of an account."""
    return {
        "asset": "USDT",
        "walletBalance": money(margin.wallet),
        "unrealizedProfit": money(margin.unrealised),
        "marginBalance": money(margin.balance),
        "maintMargin": money(margin.maintenance),
        "initialMargin": money(margin.initial),
        "positionInitialMargin": money(margin.position_margin),
        "openOrderInitialMargin": money(margin.order_margin),
        "crossWalletBalance": money(margin.wallet),
        "crossUnPnl": money(margin.unrealised),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(margin.available),
        "marginAvailable": True,
        "updateTime": now_ms,
    }


def account_json(margin: Margin, positions: list[Json], now_ms: int) -> Json:
    """GET account, v2 and v3."""
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "multiAssetsMargin": False,
        "updateTime": now_ms,
        "totalInitialMargin": money(margin.initial),
        "totalMaintMargin": money(margin.maintenance),
        "totalWalletBalance": money(margin.wallet),
        "totalUnrealizedProfit": money(margin.unrealised),
        "totalMarginBalance": money(margin.balance),
        "totalPositionInitialMargin": money(margin.position_margin),
        "totalOpenOrderInitialMargin": money(margin.order_margin),
        "totalCrossWalletBalance": money(margin.wallet),
        "totalCrossUnPnl": money(margin.unrealised),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(margin.available),
        "assets": [asset_json(margin, now_ms)],
        "positions": positions,
    }


def balance_json(margin: Margin, now_ms: int) -> Json:
    """A row of GET balance."""
    return {
        "accountAlias": "SgsR",
        "asset": "USDT",
        "balance": money(margin.wallet),
        "crossWalletBalance": money(margin.wallet),
        "crossUnPnl": money(margin.unrealised),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(margin.available),
        "marginAvailable": True,
        "updateTime": now_ms,
    }


def instrument_json(instrument: Instrument, highest: Decimal) -> Json:
    """A symbol of exchangeInfo."""
    tick, step = f"{instrument.tick:f}", f"{instrument.step:f}"
    size = {"stepSize": step, "maxQty": f"{instrument.max_qty:f}", "minQty": f"{instrument.min_qty:f}"}
    price = {"tickSize": tick, "minPrice": tick, "maxPrice": f"{highest:f}"}
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING" if instrument.active else "SETTLING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": instrument.price_digits,
        "quantityPrecision": instrument.qty_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", **price},
            {"filterType": "LOT_SIZE", **size},
            {"filterType": "MARKET_LOT_SIZE", **size},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": f"{instrument.min_notional:f}"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": [kind.value for kind in OrderType],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
