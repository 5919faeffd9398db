"""Rules about the account: equity, margin, exposure at worst case, and what was ordered just before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.intents import Intent
from pipeline.domain.orders import FINAL, Order, OrderState
from pipeline.domain.permits import OrderTerms
from pipeline.domain.positions import Equity
from pipeline.governor.exposure import worst_case
from pipeline.governor.rules.answers import (
    NOT_CONFIGURED,
    amount,
    at_most,
    deny,
    seconds_between,
    verdict,
)
from pipeline.governor.rules.market import fresh
from pipeline.governor.view import Limits, WorldView, is_finite

_UNREADABLE = "positions, orders or permits missing"
_RESOLVED = FINAL | {OrderState.INTENT, OrderState.ACKED, OrderState.PARTIALLY_FILLED}


def equity_stale(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when equity is missing, another account's, or older than `equity_max_age_s` by either clock."""
    limit = limits.equity_max_age_s
    wanted = NOT_CONFIGURED if limit is None else amount(limit, "s")
    equity = known_equity(view)
    if equity is None:
        return deny(CheckCode.EQUITY_STALE, "equity missing", wanted)
    age = seconds_between(equity.recorded_at, view.now)
    if view.exchange_now is None:
        return deny(
            CheckCode.EQUITY_STALE, f"age {amount(age, 's')}, by the exchange's clock unknown", wanted
        )
    ages = (seconds_between(equity.occurred_at, view.exchange_now), age)
    ok = limit is not None and all(fresh(each, limit) for each in ages)
    return verdict(CheckCode.EQUITY_STALE, ok, f"age {amount(max(ages), 's')}", wanted)


def known_equity(view: WorldView) -> Equity | None:
    """The view's equity, if it is of the account and its figures are numbers."""
    equity = view.equity
    if not isinstance(equity, Equity) or (equity.account, equity.mode) != (view.account, view.mode):
        return None
    return equity if is_finite(equity.equity) and is_finite(equity.available) else None


def margin(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when the margin of this and all that is pending, at `max_leverage`, is not available."""
    equity, worst = known_equity(view), worst_case(intent, view)
    if equity is None or worst is None:
        return deny(
            CheckCode.MARGIN, "equity missing" if equity is None else _UNREADABLE, "the margin available"
        )
    available = f"{amount(equity.available, 'USDT')} available"
    if not limits.max_leverage:
        return deny(CheckCode.MARGIN, f"leverage {NOT_CONFIGURED}", available)
    needed = worst.pending / limits.max_leverage
    return verdict(
        CheckCode.MARGIN, needed <= equity.available, f"{amount(needed, 'USDT')} needed", available
    )


def leverage(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when worst-case exposure over equity would be above `max_leverage`, or equity is not above 0."""
    equity, worst = known_equity(view), worst_case(intent, view)
    wanted = NOT_CONFIGURED if limits.max_leverage is None else amount(limits.max_leverage, "x")
    if equity is None or worst is None:
        return deny(CheckCode.LEVERAGE, "equity missing" if equity is None else _UNREADABLE, wanted)
    if equity.equity <= 0:
        return deny(CheckCode.LEVERAGE, f"equity {amount(equity.equity, 'USDT')}", wanted)
    return at_most(CheckCode.LEVERAGE, worst.total / equity.equity, limits.max_leverage, "x")


def max_positions(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when more than `max_positions` symbols would be held, pending ones counted."""
    worst = worst_case(intent, view)
    count = None if worst is None else Decimal(len(worst.symbols))
    return _within(CheckCode.MAX_POSITIONS, count, limits.max_positions, "positions")


def max_position(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when position, pending and this on the symbol would exceed `max_position_notional_usdt`."""
    worst = worst_case(intent, view)
    value = None if worst is None else worst.on_symbol
    return _within(CheckCode.MAX_POSITION, value, limits.max_position_notional_usdt, "USDT")


def max_exposure(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when all positions, pending orders, permits and this one would exceed `max_exposure_usdt`."""
    worst = worst_case(intent, view)
    value = None if worst is None else worst.total
    return _within(CheckCode.MAX_EXPOSURE, value, limits.max_exposure_usdt, "USDT")


def _within(code: CheckCode, value: Decimal | None, limit: Decimal | None, unit: str) -> CheckVerdict:
    if value is None:
        return deny(code, _UNREADABLE, NOT_CONFIGURED if limit is None else amount(limit, unit))
    return at_most(code, value, limit, unit)


def duplicate(intent: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when the symbol's same leg and side was ordered or permitted within `duplicate_within_s`."""
    window = limits.duplicate_within_s
    if window is None or view.recent is None or view.reserving is None:
        value = "age unknown" if window is None else "recent orders or permits missing"
        return deny(
            CheckCode.DUPLICATE, value, NOT_CONFIGURED if window is None else f"after {amount(window, 's')}"
        )
    ages = [seconds_between(at, view.now) for at in _same_before(intent, view)]
    youngest = min(ages, default=None)
    value = "none before" if youngest is None else f"one {amount(youngest, 's')} ago"
    return verdict(
        CheckCode.DUPLICATE, youngest is None or youngest > window, value, f"after {amount(window, 's')}"
    )


def _same_before(intent: Intent, view: WorldView) -> Iterator[datetime]:
    yield from (order.created_at for order in view.recent or () if _same(order, intent))
    yield from (permit.issued_at for permit in view.reserving or () if _same(permit.terms, intent))


def _same(earlier: Order | OrderTerms, intent: Intent) -> bool:
    return (earlier.symbol, earlier.side, earlier.leg) == (intent.symbol, intent.side, intent.leg)


def unknown_pending(intent: Intent, view: WorldView, _: Limits) -> CheckVerdict:
    """Denies when an order on the symbol is being sent, or its fate is unknown."""
    if view.unsettled is None:
        return deny(CheckCode.UNKNOWN_PENDING, "orders missing", "none unresolved")
    unresolved = [
        f"{order.leg} {order.state} ({order.client_order_id})"
        for order in view.unsettled
        if order.symbol == intent.symbol and order.state not in _RESOLVED
    ]
    return verdict(
        CheckCode.UNKNOWN_PENDING, not unresolved, ", ".join(unresolved) or "none", "none unresolved"
    )
