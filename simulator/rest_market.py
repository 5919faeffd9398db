"""Public endpoints: time, instruments, candles, prices."""

from __future__ import annotations

from simulator import funding
from simulator.candle_json import CandleWriter
from simulator.clock import HOUR_MS
from simulator.filters import max_price
from simulator.instruments import Instrument
from simulator.market import Window
from simulator.weights import CANDLES, DEPTH, by_limit, by_symbol, flat
from simulator.wire import Json, instrument_json
from simulator.world import Ask, Route

MAX_CANDLES = 1500
_writer = CandleWriter()


def ping(_ask: Ask) -> object:
    return {}


def server_time(ask: Ask) -> object:
    return {"serverTime": ask.now_ms}


def exchange_info(ask: Ask) -> object:
    options = ask.world.options
    return {
        "timezone": "UTC",
        "serverTime": ask.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            limit("REQUEST_WEIGHT", "MINUTE", 1, options.weight_limit),
            limit("ORDERS", "MINUTE", 1, options.order_limit_1m),
            limit("ORDERS", "SECOND", 10, options.order_limit_10s),
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "0"}],
        "symbols": [
            instrument_json(instrument, max_price(instrument))
            for instrument in ask.world.market.instruments.values()
        ],
    }


def limit(kind: str, interval: str, number: int, most: int) -> Json:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": most}


def klines(ask: Ask) -> object:
    params, market = ask.params, ask.world.market
    instrument = market.instrument(params.need("symbol").upper())
    interval_ms = market.interval(instrument.symbol, params.need("interval"))
    window = Window(
        params.whole_within("limit", 500, 1, MAX_CANDLES), params.whole("startTime"), params.whole("endTime")
    )
    candles = market.candles(instrument.symbol, interval_ms, window, ask.now_ms)
    return _writer.write(instrument, interval_ms, candles)


def chosen(ask: Ask) -> list[Instrument]:
    """The symbol asked for, or all that trade."""
    symbol = ask.params.get("symbol")
    if symbol is not None:
        return [ask.world.market.instrument(symbol.upper())]
    return [instrument for instrument in ask.world.market.instruments.values() if instrument.active]


def one_or_all(ask: Ask, rows: list[Json]) -> object:
    """Binance answers an object for a symbol and a list without one."""
    return rows[0] if ask.params.get("symbol") else rows


def ticker_24h(ask: Ask) -> object:
    return one_or_all(ask, [day_json(ask, instrument) for instrument in chosen(ask)])


def day_json(ask: Ask, instrument: Instrument) -> Json:
    day = ask.world.market.day(instrument.symbol, ask.now_ms)
    ticks = ask.world.market.last_ticks(instrument.symbol, ask.now_ms)
    tick, places = float(instrument.tick), instrument.price_digits
    average = day.turnover / day.volume if day.volume else ticks * tick
    return {
        "symbol": instrument.symbol,
        "priceChange": f"{(ticks - day.open) * tick:.{places}f}",
        "priceChangePercent": f"{(ticks / day.open - 1) * 100:.3f}",
        "weightedAvgPrice": f"{average:.{places}f}",
        "lastPrice": f"{ticks * tick:.{places}f}",
        "lastQty": f"{float(instrument.step):.{instrument.qty_digits}f}",
        "openPrice": f"{day.open * tick:.{places}f}",
        "highPrice": f"{max(day.high, ticks) * tick:.{places}f}",
        "lowPrice": f"{min(day.low, ticks) * tick:.{places}f}",
        "volume": f"{day.volume:.{instrument.qty_digits}f}",
        "quoteVolume": f"{day.turnover:.2f}",
        "openTime": ask.now_ms - 24 * HOUR_MS,
        "closeTime": ask.now_ms,
        "firstId": 1,
        "lastId": int(day.turnover / 500) + 1,
        "count": int(day.turnover / 500) + 1,
    }


def ticker_price(ask: Ask) -> object:
    market = ask.world.market
    rows: list[Json] = [
        {
            "symbol": instrument.symbol,
            "price": f"{market.last(instrument.symbol, ask.now_ms):f}",
            "time": ask.now_ms,
        }
        for instrument in chosen(ask)
    ]
    return one_or_all(ask, rows)


def book_ticker(ask: Ask) -> object:
    return one_or_all(ask, [book_json(ask, instrument) for instrument in chosen(ask)])


def book_json(ask: Ask, instrument: Instrument) -> Json:
    book = ask.world.engine.book(instrument.symbol, ask.now_ms)
    bid, sell = next(book.levels("BUY")), next(book.levels("SELL"))
    return {
        "symbol": instrument.symbol,
        "bidPrice": f"{bid.price:f}",
        "bidQty": f"{bid.qty:f}",
        "askPrice": f"{sell.price:f}",
        "askQty": f"{sell.qty:f}",
        "time": ask.now_ms,
        "lastUpdateId": ask.now_ms,
    }


def depth(ask: Ask) -> object:
    symbol = ask.params.need("symbol").upper()
    count = ask.params.whole_within("limit", 500, 5, 1000)
    book = ask.world.engine.book(symbol, ask.now_ms)
    sides = {
        name: [[f"{level.price:f}", f"{level.qty:f}"] for level in book.levels(side, min(count, 20))]
        for name, side in (("bids", "BUY"), ("asks", "SELL"))
    }
    return {"lastUpdateId": ask.now_ms, "E": ask.now_ms, "T": ask.now_ms, **sides}


def premium_index(ask: Ask) -> object:
    return one_or_all(ask, [premium_json(ask, instrument) for instrument in chosen(ask)])


def premium_json(ask: Ask, instrument: Instrument) -> Json:
    price = f"{ask.world.market.last(instrument.symbol, ask.now_ms):.8f}"
    next_ms = funding.next_time(ask.now_ms)
    return {
        "symbol": instrument.symbol,
        "markPrice": price,
        "indexPrice": price,
        "estimatedSettlePrice": price,
        "lastFundingRate": f"{funding.rate(instrument.symbol, next_ms):.8f}",
        "interestRate": "0.00010000",
        "nextFundingTime": next_ms,
        "time": ask.now_ms,
    }


def coins(_ask: Ask) -> object:
    """What ccxt asks for when API keys are set: the currencies of the wallet."""
    return [{"coin": "USDT", "name": "TetherUS", "trading": True, "isLegalMoney": False, "networkList": []}]


def no_pairs(_ask: Ask) -> object:
    """ccxt asks for these as well: there is no margin trading here."""
    return []


OF_EVERY = {
    "/fapi/v1/ticker/24hr",
    "/fapi/v1/ticker/price",
    "/fapi/v2/ticker/price",
    "/fapi/v1/ticker/bookTicker",
    "/fapi/v1/premiumIndex",
}
ROUTES = {
    ("GET", "/fapi/v1/ping"): Route(ping, flat(1)),
    ("GET", "/fapi/v1/time"): Route(server_time, flat(1)),
    ("GET", "/fapi/v1/exchangeInfo"): Route(exchange_info, flat(1)),
    ("GET", "/fapi/v1/klines"): Route(klines, by_limit(CANDLES, 10)),
    ("GET", "/fapi/v1/depth"): Route(depth, by_limit(DEPTH, 20)),
    ("GET", "/fapi/v1/ticker/24hr"): Route(ticker_24h, by_symbol(1, 40)),
    ("GET", "/fapi/v1/ticker/price"): Route(ticker_price, by_symbol(1, 2)),
    ("GET", "/fapi/v2/ticker/price"): Route(ticker_price, by_symbol(1, 2)),
    ("GET", "/fapi/v1/ticker/bookTicker"): Route(book_ticker, by_symbol(2, 5)),
    ("GET", "/fapi/v1/premiumIndex"): Route(premium_index, by_symbol(1, 10)),
    ("GET", "/sapi/v1/capital/config/getall"): Route(coins, flat(10), signed=True, checks_time=False),
    ("GET", "/sapi/v1/margin/allPairs"): Route(no_pairs, flat(1), signed=True, checks_time=False),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): Route(no_pairs, flat(10), signed=True, checks_time=False),
}
