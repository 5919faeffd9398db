"""Sizing: from a chosen signal to an intent, exact to the instrument's step. All in `Decimal`.

The quantity is what loses `risk_per_trade` of the equity between the worst price allowed and the stop,
capped by notional and leverage, rounded down. What is too small for the exchange is a value, not an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side, Signal

BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRules:
    """`risk_per_trade` a fraction of equity, notional in quote, leverage a multiple of equity; `order` the kind
    of order that an intent becomes.
    """

    risk_per_trade: Decimal
    max_notional: Decimal
    max_leverage: Decimal
    slippage_bps: Decimal
    order: str = "limit_ioc"


KINDS = {
    "limit_ioc": (OrderType.LIMIT, TimeInForce.IOC),
    "limit": (OrderType.LIMIT, TimeInForce.GTC),
    "market": (OrderType.MARKET, TimeInForce.IOC),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The chosen signal, its strategy's name, and the time of its price (when the bar closed)."""

    strategy: str
    signal: Signal
    priced_at: datetime


@dataclass(frozen=True, slots=True)
class Levels:
    """Where an entry is to be left, on the instrument's tick."""

    stop: Decimal
    target: Decimal


@dataclass(frozen=True, slots=True)
class Bound:
    """The worst price allowed, and the kind of order that keeps to it."""

    price: Decimal
    order: str


@dataclass(frozen=True, slots=True)
class TooSmall:
    """What may be risked is less than the exchange's smallest order. `detail` gives both numbers."""

    detail: str


@dataclass(frozen=True, slots=True)
class AlreadyHeld:
    """A position points the signal's way already; nothing is added to it."""

    detail: str


def size(
    wanted: Wanted, instrument: Instrument, equity: Decimal, held: Position | None, rules: SizingRules
) -> Intent | TooSmall | AlreadyHeld:
    """The order that the signal becomes: an entry, or the close of a position held the other way.

    `equity` in quote, `held` the open position on the symbol, if any. Whatever kind of order it is, its price
    is the signal's, moved by the slippage allowed and rounded inside that bound (a purchase down, a sale
    up).
    """
    if held is None or held.qty == 0:
        return _entry(wanted, instrument, equity, rules)
    if held.side is wanted.signal.side:
        return AlreadyHeld(
            f"{held.qty} {instrument.base} are held already, {held.side} at {held.entry_price}"
        )
    return _close(wanted, instrument, held, rules)


def limit_price(side: Side, price: Decimal, slippage_bps: Decimal, instrument: Instrument) -> Decimal:
    """The worst price allowed: `price` moved against the side by the slippage, rounded towards `price`."""
    bound = price * (1 + side.sign * slippage_bps / BPS)
    return instrument.round_price_down(bound) if side is Side.BUY else instrument.round_price_up(bound)


def _entry(wanted: Wanted, instrument: Instrument, equity: Decimal, rules: SizingRules) -> Intent | TooSmall:
    signal = wanted.signal
    limit = limit_price(signal.side, signal.entry, rules.slippage_bps, instrument)
    levels = Levels(_on_tick(instrument, signal.stop_loss), _on_tick(instrument, signal.take_profit))
    distance = (limit - levels.stop) * signal.side.sign
    if distance <= 0 or limit <= 0:
        return TooSmall(
            f"stop {levels.stop} is not beyond limit price {limit}: the tick is {instrument.price_tick}"
        )
    qty, why = _quantity(instrument, equity, max(limit, signal.entry), distance, rules)
    too_small = _below_minimum(instrument, qty, limit)
    if too_small:
        return TooSmall(f"{too_small} ({why})")
    return _intent(wanted, instrument, qty, Bound(limit, rules.order), levels)


def _on_tick(instrument: Instrument, price: Decimal) -> Decimal:
    """The nearest price that the exchange can hold: never 0, however coarse the tick."""
    return max(instrument.price_tick, instrument.round_price_nearest(price))


def _quantity(
    instrument: Instrument, equity: Decimal, price: Decimal, distance: Decimal, rules: SizingRules
) -> tuple[Decimal, str]:
    """The largest quantity that all caps allow, and the name of the cap that decided."""
    caps = {
        "risk per trade": max(equity, Decimal(0)) * rules.risk_per_trade / distance,
        "largest notional": rules.max_notional / price,
        "leverage": max(equity, Decimal(0)) * rules.max_leverage / price,
        "the exchange's largest quantity": instrument.max_qty,
    }
    decisive = min(caps, key=caps.__getitem__)
    return instrument.round_qty_down(caps[decisive]), f"limited by {decisive}"


def _below_minimum(instrument: Instrument, qty: Decimal, price: Decimal) -> str:
    if qty <= 0 or qty < instrument.min_qty:
        return f"quantity {qty} is below the minimum of {instrument.min_qty} {instrument.base}"
    if qty * price < instrument.min_notional:
        return f"notional {qty * price} is below the minimum of {instrument.min_notional} {instrument.quote}"
    return ""


def _close(wanted: Wanted, instrument: Instrument, held: Position, rules: SizingRules) -> Intent | TooSmall:
    signal = wanted.signal
    # Exchanges take a reduce-only order below the minimum notional, but never one below the step.
    qty = instrument.round_qty_down(min(held.qty, instrument.max_qty))
    if qty <= 0 or qty < instrument.min_qty:
        return TooSmall(
            f"the {held.qty} {instrument.base} held are below the minimum of {instrument.min_qty}"
        )
    limit = limit_price(signal.side, signal.entry, rules.slippage_bps, instrument)
    return _intent(wanted, instrument, qty, Bound(limit, rules.order), None)


def _intent(
    wanted: Wanted, instrument: Instrument, qty: Decimal, bound: Bound, levels: Levels | None
) -> Intent:
    """An entry with its levels, or the close of what is held when there are none."""
    signal = wanted.signal
    order_type, tif = KINDS[bound.order]
    return Intent(
        symbol=instrument.symbol,
        leg=Leg.CLOSE if levels is None else Leg.ENTRY,
        side=signal.side,
        type=order_type,
        tif=tif,
        qty=qty,
        limit_price=bound.price,
        reduce_only=levels is None,
        decision_price=signal.entry,
        priced_at=wanted.priced_at,
        stop_loss=None if levels is None else levels.stop,
        take_profit=None if levels is None else levels.target,
        strategy=wanted.strategy,
        score=signal.score,
        reason=signal.reason,
        min_notional=instrument.min_notional or None,
    )
