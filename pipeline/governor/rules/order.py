"""Rules about the order itself, and about what its instrument takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Mode
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.signals import Side
from pipeline.governor.exposure import reduces, worst_value
from pipeline.governor.rules.answers import amount, at_most, deny, number, seen, verdict
from pipeline.governor.view import Limits, WorldView, is_finite, is_name

# What an exchange could have meant. Beyond it, products overflow or lose digits without saying so.
_MAX_DIGITS = 28
_MAX_EXPONENT = 18


def bad_input(intent: Intent, view: WorldView, _: Limits) -> CheckVerdict:
    """Denies when a number is not finite and above 0, a symbol, side, type or time is not one, an exit is not
    reduce-only, or a reduce-only order does not reduce an open position.
    """
    problems = "; ".join(_problems(intent, view))
    return verdict(
        CheckCode.BAD_INPUT, not problems, problems or "well formed", "finite numbers above 0, known words"
    )


def _problems(intent: object, view: object) -> Iterator[str]:
    if not isinstance(intent, Intent) or not isinstance(view, WorldView):
        yield f"a {type(intent).__name__} seen by a {type(view).__name__}"
        return
    for source, fields in ((intent, _INTENT_FIELDS), (view, _VIEW_FIELDS)):
        for name, fits, wanted in fields:
            value = getattr(source, name)
            if not fits(value):
                yield f"{name} {seen(value)} is not {wanted}"
    if intent.leg is not Leg.ENTRY and not intent.reduce_only:
        yield f"a {seen(intent.leg)} must be reduce-only"
    if intent.reduce_only and not reduces(intent, view):
        yield "reduce-only, but there is no open position that it would reduce"


def _is_amount(value: object) -> bool:
    return (
        isinstance(value, Decimal)
        and value.is_finite()
        and value > 0
        and abs(value.adjusted()) <= _MAX_EXPONENT
        and (len(str(value)) <= _MAX_DIGITS or len(value.as_tuple().digits) <= _MAX_DIGITS)
    )


def _is_level(value: object) -> bool:
    return value is None or _is_amount(value)


def _is_score(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and 0 <= value <= 1


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_listing(value: object) -> bool:
    """None is judged by the rules that need it. An empty text would look like "there are none"."""
    return value is None or isinstance(value, (tuple, list))


def _one_of(words: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, words)


Field = tuple[str, Callable[[object], bool], str]

_INTENT_FIELDS: tuple[Field, ...] = (
    ("symbol", is_name, "a symbol"),
    ("leg", _one_of(Leg), "a leg"),
    ("side", _one_of(Side), "a side"),
    ("type", _one_of(OrderType), "an order type"),
    ("tif", _one_of(TimeInForce), "a time in force"),
    ("qty", _is_amount, "a quantity"),
    ("limit_price", _is_amount, "a price"),
    ("reduce_only", _is_bool, "yes or no"),
    ("decision_price", _is_amount, "a price"),
    ("priced_at", _is_moment, "a time with its zone"),
    ("stop_loss", _is_level, "a price"),
    ("take_profit", _is_level, "a price"),
    ("min_notional", _is_level, "an amount"),
    ("strategy", is_name, "a strategy"),
    ("score", _is_score, "from 0 to 1"),
    ("reason", _one_of(str), "a text"),
)

_VIEW_FIELDS: tuple[Field, ...] = (
    ("account", is_name, "an account"),
    ("mode", _one_of(Mode), "a mode"),
    ("now", _is_moment, "a time with its zone"),
    ("positions", _is_listing, "a list"),
    ("unsettled", _is_listing, "a list"),
    ("reserving", _is_listing, "a list"),
    ("recent", _is_listing, "a list"),
    ("kill_switches", _is_listing, "a list"),
)


def not_in_universe(intent: Intent, view: WorldView, _: Limits) -> CheckVerdict:
    """Denies when the symbol is not in the universe, or the exchange does not trade it now."""
    instrument = _instrument(intent, view)
    active = instrument is not None and instrument.active is True
    inside = view.in_universe is True
    said = ("in the universe" if inside else "not in the universe", "active" if active else "not active")
    value = f"{intent.symbol}: {', '.join(said)}"
    return verdict(CheckCode.NOT_IN_UNIVERSE, inside and active, value, "in the universe and active")


def _instrument(intent: Intent, view: WorldView) -> Instrument | None:
    """The view's instrument, if it is the intent's and its numbers can bound an order."""
    instrument = view.instrument
    if not isinstance(instrument, Instrument) or instrument.symbol != intent.symbol:
        return None
    above_zero = (instrument.price_tick, instrument.qty_step, instrument.max_qty)
    usable = all(_is_amount(each) for each in above_zero) and all(
        _is_amount(each) or (is_finite(each) and each == 0)
        for each in (instrument.min_qty, instrument.min_notional)
    )
    return instrument if usable else None


def precision(intent: Intent, view: WorldView, _: Limits) -> CheckVerdict:
    """Denies when the quantity is off the instrument's step or out of bounds, or a price that the exchange is told off
    its tick.
    """
    instrument = _instrument(intent, view)
    if instrument is None:
        return deny(CheckCode.PRECISION, "no usable instrument", "the instrument's step, tick and bounds")
    fits = (
        instrument.round_qty_down(intent.qty) == intent.qty
        and (_has_no_price(intent) or instrument.round_price_down(intent.limit_price) == intent.limit_price)
        and instrument.min_qty <= intent.qty <= instrument.max_qty
    )
    value = f"qty {number(intent.qty)}, price {number(intent.limit_price)}"
    return verdict(CheckCode.PRECISION, fits, value, _grid(instrument))


def _has_no_price(intent: Intent) -> bool:
    """Whether the exchange is told none: a market order's price only bounds what it may cost."""
    return intent.type is OrderType.MARKET


def _grid(instrument: Instrument) -> str:
    bounds = f"{number(instrument.min_qty)} to {number(instrument.max_qty)}"
    return f"qty {bounds} by {number(instrument.qty_step)}, price by {number(instrument.price_tick)}"


def min_notional(intent: Intent, view: WorldView, _: Limits) -> CheckVerdict:
    """Denies when quantity times limit price is below what the exchange takes."""
    instrument = _instrument(intent, view)
    value = amount(intent.notional, "USDT")
    if instrument is None:
        return deny(CheckCode.MIN_NOTIONAL, value, "no usable instrument")
    least = max(instrument.min_notional, intent.min_notional or Decimal(0))
    return verdict(
        CheckCode.MIN_NOTIONAL, intent.notional >= least, value, f"at least {amount(least, 'USDT')}"
    )


def max_qty(intent: Intent, _: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when the quantity of one order is above `max_order_qty`."""
    return at_most(CheckCode.MAX_QTY, intent.qty, limits.max_order_qty, "units")


def max_value(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when one order could come to more than `max_order_notional_usdt`."""
    return at_most(CheckCode.MAX_VALUE, worst_value(intent, view), limits.max_order_notional_usdt, "USDT")
