"""Rules about prices: how old they are, and how far the order is from them."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeGuard

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.intents import Intent, OrderType
from pipeline.domain.signals import Side
from pipeline.governor.exposure import Touch, touch
from pipeline.governor.rules.answers import (
    NOT_CONFIGURED,
    amount,
    at_most,
    deny,
    number,
    seconds_between,
    verdict,
)
from pipeline.governor.view import Limits, WorldView, is_finite

# Two machines' clocks never agree to the millisecond. What lies further ahead was not measured, but made up.
AHEAD_S = Decimal(2)
_LONGEST_BAR_S = 31 * 86400


def fresh(age: Decimal, limit: Decimal) -> bool:
    return -AHEAD_S <= age <= limit


def stale_data(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when the signal's bar closed more than `signal_max_age_bars` bars ago, or has not closed."""
    if view.exchange_now is None or not _is_timeframe(view.timeframe_s):
        return deny(CheckCode.STALE_DATA, "age unknown", "the exchange's clock and the timeframe")
    age = seconds_between(intent.priced_at, view.exchange_now)
    if limits.signal_max_age_bars is None:
        return deny(CheckCode.STALE_DATA, f"age {amount(age, 's')}", NOT_CONFIGURED)
    limit = limits.signal_max_age_bars * view.timeframe_s
    bars = f"{number(limits.signal_max_age_bars)} bars of {view.timeframe_s} s"
    return verdict(
        CheckCode.STALE_DATA, fresh(age, limit), f"age {amount(age, 's')}", f"{amount(limit, 's')} ({bars})"
    )


def _is_timeframe(seconds: object) -> TypeGuard[int]:
    return isinstance(seconds, int) and 0 < seconds <= _LONGEST_BAR_S


def data_jump(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when the price moved more than `max_jump_bps` within one of the signal's last bars, or since."""
    jump, market = view.bar_jump_bps, touch(view)
    if not (isinstance(jump, Decimal) and is_finite(jump) and jump >= 0) or market is None:
        value = "bars unknown" if market is not None else "no reference price"
        return deny(CheckCode.DATA_JUMP, value, _bps(limits.max_jump_bps))
    since = abs(market.mid - intent.decision_price) / intent.decision_price * 10_000
    return at_most(CheckCode.DATA_JUMP, max(jump, since), limits.max_jump_bps, "bps")


def no_reference(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when there is no usable best bid and ask, or they are older than `quote_max_age_s`."""
    limit = limits.quote_max_age_s
    wanted = NOT_CONFIGURED if limit is None else amount(limit, "s")
    market = touch(view)
    if market is None or view.quote is None or view.exchange_now is None:
        return deny(CheckCode.NO_REFERENCE, "no usable quote", wanted)
    age = seconds_between(view.quote.occurred_at, view.exchange_now)
    value = f"age {amount(age, 's')}, bid {number(market.bid)}, ask {number(market.ask)}"
    return verdict(CheckCode.NO_REFERENCE, limit is not None and fresh(age, limit), value, wanted)


def price_collar(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when the expected price is further than `price_collar_bps` from the middle of bid and ask."""
    market = touch(view)
    if market is None:
        return deny(CheckCode.PRICE_COLLAR, "no reference price", _bps(limits.price_collar_bps))
    return at_most(CheckCode.PRICE_COLLAR, _deviation_bps(intent, market), limits.price_collar_bps, "bps")


def _bps(limit: Decimal | None) -> str:
    return NOT_CONFIGURED if limit is None else amount(limit, "bps")


def _deviation_bps(intent: Intent, market: Touch) -> Decimal:
    """Of the limit price; a market order has none on the exchange, so its side of the book counts too."""
    expected = [intent.limit_price]
    if intent.type is OrderType.MARKET:
        expected.append(market.ask if intent.side is Side.BUY else market.bid)
    return max(abs(price - market.mid) for price in expected) / market.mid * 10_000
