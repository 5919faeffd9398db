"""Binance's rows as values of the domain. Money, quantities and prices are read from strings, never from
floats.

Every function raises KeyError, TypeError, ValueError or ArithmeticError when a row is not what it should be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipeline.domain.ids import ClientOrderId
from pipeline.domain.instruments import Instrument
from pipeline.domain.orders import ListedOrder, OrderReport, OrderState, Trade
from pipeline.domain.positions import Holding, Income
from pipeline.domain.signals import Side

UNREADABLE = (KeyError, TypeError, ValueError, ArithmeticError)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

STATES: Mapping[str, OrderState] = {
    "NEW": OrderState.ACKED,
    "PARTIALLY_FILLED": OrderState.PARTIALLY_FILLED,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
    "REJECTED": OrderState.REJECTED,
}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BookQuote:
    """Best bid and ask in quote currency, with the exchange's time."""

    bid: Decimal
    ask: Decimal
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money in one asset: with open profit, free for orders, and the open profit alone."""

    equity: Decimal
    available: Decimal
    unrealised_pnl: Decimal


def row(data: object) -> Row:
    if not isinstance(data, dict):
        raise TypeError("a JSON object was expected")
    return data


def rows(data: object) -> Sequence[Row]:
    if not isinstance(data, list):
        raise TypeError("a JSON array was expected")
    return [row(item) for item in data]


def exact(value: object) -> Decimal:
    """An exact number from the text that carried it; a float has lost it already."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{value!r} does not carry an exact number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{value!r} is not finite")
    return number


def instant(milliseconds: object) -> datetime:
    """A time from milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=int(exact(milliseconds)))


def to_milliseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def report(data: object) -> OrderReport:
    """An order as the exchange describes it. Raises also when its state is one we do not know."""
    order = row(data)
    filled = exact(order["executedQty"])
    if filled < 0:
        raise ValueError("a negative quantity was filled")
    return OrderReport(
        client_order_id=ClientOrderId(text(order["clientOrderId"])),
        exchange_order_id=text(order["orderId"]),
        state=STATES[text(order["status"])],
        filled_qty=filled,
        avg_price=(exact(order["avgPrice"]) or None) if filled else None,
    )


def cancelled(data: object) -> ClientOrderId | None:
    """Which order a cancellation has ended; None when the answer does not say that it did."""
    told = report(data)
    return told.client_order_id if told.state is OrderState.CANCELED else None


def listed_order(data: Row, symbols: Mapping[str, str]) -> ListedOrder:
    """An order from one of the account's lists, whoever placed it; `symbols` maps the exchange's ids to our names."""
    told, market_id = report(data), text(data["symbol"])
    return ListedOrder(
        symbol=symbols.get(market_id, market_id),
        client_order_id=told.client_order_id,
        exchange_order_id=told.exchange_order_id,
        side=Side(text(data["side"]).lower()),
        type=text(data["type"]),
        qty=exact(data["origQty"]),
        limit_price=exact(data["price"]),
        reduce_only=data.get("reduceOnly") is True,
        state=told.state,
        filled_qty=told.filled_qty,
        avg_price=told.avg_price,
        occurred_at=instant(data["time"]),
    )


def trade(data: Row) -> Trade:
    """A fill from the account's list of trades."""
    return Trade(
        trade_id=text(data["id"]),
        exchange_order_id=text(data["orderId"]),
        side=Side(text(data["side"]).lower()),
        qty=exact(data["qty"]),
        price=exact(data["price"]),
        fee=exact(data["commission"]),
        fee_asset=text(data["commissionAsset"]),
        occurred_at=instant(data["time"]),
        realised=exact(data["realizedPnl"]) if "realizedPnl" in data else None,
    )


def income(data: Row, symbols: Mapping[str, str]) -> Income:
    """A change of the wallet; `symbols` maps the exchange's ids to our names. A transfer has no symbol, funding no
    trade.
    """
    market_id = str(data["symbol"])
    return Income(
        kind=text(data["incomeType"]),
        income_id=text(data["tranId"]),
        symbol=symbols.get(market_id, market_id),
        trade_id=str(data["tradeId"]),
        amount=exact(data["income"]),
        asset=text(data["asset"]),
        occurred_at=instant(data["time"]),
    )


def trades(data: object) -> Sequence[Trade]:
    """Oldest first, each once."""
    unique = {told.trade_id: told for told in map(trade, rows(data))}
    return sorted(unique.values(), key=lambda told: (told.occurred_at, len(told.trade_id), told.trade_id))


def balance(data: object, asset: str) -> Balance:
    """The account's money in `asset`; an asset that is not listed is an empty one."""
    for item in rows(row(data)["assets"]):
        if item["asset"] == asset:
            equity = exact(item["marginBalance"])
            # From the wallet, not from the unrealised profit: each is rounded for itself, and the wallet is compared.
            return Balance(equity, exact(item["availableBalance"]), equity - exact(item["walletBalance"]))
    return Balance(Decimal(0), Decimal(0), Decimal(0))


def holding(data: Row, symbols: Mapping[str, str]) -> Holding:
    """A position; `symbols` maps the exchange's ids to our names."""
    market_id = text(data["symbol"])
    return Holding(
        symbol=symbols.get(market_id, market_id),
        qty=exact(data["positionAmt"]),
        entry_price=exact(data["entryPrice"]),
    )


def quote(data: object) -> BookQuote:
    book = row(data)
    bid, ask = exact(book["bidPrice"]), exact(book["askPrice"])
    if not 0 < bid <= ask:
        raise ValueError(f"bid {bid} and ask {ask} are no quote")
    return BookQuote(bid, ask, instant(book["time"]))


def quotes(data: object) -> Mapping[str, BookQuote]:
    """Quotes by the exchange's ids. A row that cannot be read, as of a symbol that nobody trades, is left out."""
    found: dict[str, BookQuote] = {}
    for item in rows(data):
        try:
            found[text(item["symbol"])] = quote(item)
        except UNREADABLE:
            continue
    return found


def volumes(data: object) -> Mapping[str, Decimal]:
    """24 h volumes in quote currency by the exchange's ids. A row that cannot be read counts as no volume."""
    found: dict[str, Decimal] = {}
    for item in rows(data):
        try:
            found[text(item["symbol"])] = exact(item["quoteVolume"])
        except UNREADABLE:
            continue
    return found


def bars(data: object) -> list[list[float]]:
    """Rows of six floats. What is no number becomes NaN: judging bars is not this function's business."""
    if not isinstance(data, list):
        raise TypeError("a JSON array was expected")
    return [
        [_number(cell) for cell in (*bar[:6], *[None] * (6 - len(bar)))]
        for bar in data
        if isinstance(bar, list)
    ]


def instruments(markets: Iterable[Row]) -> list[Instrument]:
    """ccxt names the symbols; the numbers come from the raw filters, as the exchange wrote them.

    Only linear perpetuals: what expires is not traded here. An instrument whose filters cannot be read
    is left out, so that it counts as not traded.
    """
    wanted = [market for market in markets if market.get("swap") and market.get("linear")]
    return [found for found in map(_instrument_or_none, wanted) if found is not None]


def _instrument_or_none(market: Row) -> Instrument | None:
    try:
        return _instrument(market)
    except UNREADABLE:
        return None


def _instrument(market: Row) -> Instrument:
    filters = {text(item["filterType"]): item for item in rows(market["info"]["filters"])}
    price, lot, value = filters["PRICE_FILTER"], filters["LOT_SIZE"], filters["MIN_NOTIONAL"]
    return Instrument(
        symbol=text(market["symbol"]),
        market_id=text(market["id"]),
        base=text(market["base"]),
        quote=text(market["quote"]),
        price_tick=exact(price["tickSize"]),
        qty_step=exact(lot["stepSize"]),
        min_qty=exact(lot["minQty"]),
        max_qty=exact(lot["maxQty"]),
        min_notional=exact(value["notional"]),
        active=market.get("active") is True,
    )


def text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise TypeError(f"{value!r} is no text")
    return str(value)


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        return math.nan
