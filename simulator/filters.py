"""The checks that an order passes before it is accepted, in the order in which Binance answers them."""

from __future__ import annotations

from decimal import Decimal

from simulator import errors
from simulator.book import Book
from simulator.errors import ApiError
from simulator.instruments import Instrument
from simulator.orders import OrderRequest, OrderType, Side

MULTIPLIER_UP = Decimal("1.05")
MULTIPLIER_DOWN = Decimal("0.95")
MAX_PRICE_FACTOR = 20


def max_price(instrument: Instrument) -> Decimal:
    return instrument.start_price.scaleb(0).quantize(instrument.tick) * MAX_PRICE_FACTOR


def check(request: OrderRequest, instrument: Instrument, last: Decimal, book: Book) -> None:
    """Raises: ApiError with the code of the first filter that the order breaks."""
    if not instrument.active:
        raise ApiError(errors.SYMBOL_CLOSED)
    if not request.close_position:
        check_qty(request.qty, instrument)
    if request.price is not None:
        check_price(request.price, instrument)
    if request.trigger is not None:
        check_trigger(request, instrument, last)
    check_percent(request, last, book)
    check_notional(request, instrument, last)


def check_qty(qty: Decimal, instrument: Instrument) -> None:
    if qty <= 0:
        raise ApiError(errors.QTY_BELOW_ZERO)
    if qty % instrument.step:
        raise ApiError(errors.PRECISION)
    if qty < instrument.min_qty:
        raise ApiError(errors.QTY_TOO_SMALL)
    if qty > instrument.max_qty:
        raise ApiError(errors.QTY_TOO_LARGE)


def check_price(price: Decimal, instrument: Instrument) -> None:
    if price <= 0:
        raise ApiError(errors.PRICE_BELOW_ZERO)
    if price < instrument.tick:
        raise ApiError(errors.PRICE_TOO_LOW)
    if price > max_price(instrument):
        raise ApiError(errors.PRICE_TOO_HIGH)
    if -int(price.normalize().as_tuple().exponent) > instrument.price_digits:
        raise ApiError(errors.PRECISION)
    if price % instrument.tick:
        raise ApiError(errors.TICK_SIZE)


def check_trigger(request: OrderRequest, instrument: Instrument, last: Decimal) -> None:
    """A conditional order must wait for something that is not already so."""
    trigger = request.trigger or Decimal(0)
    if trigger <= 0:
        raise ApiError(errors.STOP_BELOW_ZERO)
    check_price(trigger, instrument)
    if (last >= trigger) if request.triggers_rising else (last <= trigger):
        raise ApiError(errors.WOULD_TRIGGER)


def check_percent(request: OrderRequest, last: Decimal, book: Book) -> None:
    """PERCENT_PRICE: limits stay near the mark price, market orders need a counterparty near it."""
    highest, lowest = last * MULTIPLIER_UP, last * MULTIPLIER_DOWN
    if request.type is OrderType.LIMIT and request.price is not None:
        if request.side is Side.BUY and request.price > highest:
            raise ApiError(errors.LIMIT_TOO_HIGH, f"{highest.normalize():f}")
        if request.side is Side.SELL and request.price < lowest:
            raise ApiError(errors.LIMIT_TOO_LOW, f"{lowest.normalize():f}")
    elif request.type is OrderType.MARKET:
        best = book.ask if request.side is Side.BUY else book.bid
        if not lowest <= best <= highest:
            raise ApiError(errors.PERCENT_PRICE)


def check_notional(request: OrderRequest, instrument: Instrument, last: Decimal) -> None:
    if request.is_reducing:
        return
    if request.qty * (request.price or last) < instrument.min_notional:
        raise ApiError(errors.MIN_NOTIONAL, instrument.min_notional)
