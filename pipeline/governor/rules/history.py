"""Rules about what happened before: losses, rates, rejects, and what they add up to."""

from __future__ import annotations

from decimal import Decimal

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.guards import Activity, Latch, Marks
from pipeline.domain.intents import Intent
from pipeline.governor.rules.account import known_equity
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

_MISSING = "what happened before is unknown"
_COUNTS = ("last_second", "last_minute", "last_day", "rejects", "unknowns", "on_symbol", "losses")
UNKNOWN_WEIGHT = 3
"""An order whose fate was not known is worse than one that was refused."""


def daily_loss(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when equity is more than `max_daily_loss_pct` below the start of the UTC day, or that latch is
    on.
    """
    marks = _marks(view)
    return _loss(CheckCode.DAILY_LOSS, view, marks.day_start if marks else None, limits.max_daily_loss_pct)


def drawdown(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when equity is more than `max_drawdown_pct` below its highest value, or that latch is on."""
    marks = _marks(view)
    return _loss(CheckCode.DRAWDOWN, view, marks.peak if marks else None, limits.max_drawdown_pct)


def _loss(code: CheckCode, view: WorldView, mark: Decimal | None, limit: Decimal | None) -> CheckVerdict:
    equity, wanted = known_equity(view), NOT_CONFIGURED if limit is None else amount(limit, "%")
    latch = tripped(view, code)
    if latch is not None:
        return deny(code, f"latched: {latch.reason}", wanted, "a person must re-arm it")
    if equity is None or mark is None:
        return deny(code, "equity or its marks missing", wanted)
    return at_most(code, loss_pct(equity.equity, mark), limit, "%")


def loss_pct(equity: Decimal, mark: Decimal) -> Decimal:
    """How far equity is below its mark, in percent of the mark; 0 when it is not. A mark of 0 lost all."""
    return max(Decimal(0), (mark - equity) / mark * 100) if mark > 0 else Decimal(100)


def _marks(view: WorldView) -> Marks | None:
    marks = view.safeguards.marks if view.safeguards is not None else None
    usable = isinstance(marks, Marks) and is_finite(marks.day_start) and is_finite(marks.peak)
    return marks if usable else None


def tripped(view: WorldView, code: CheckCode) -> Latch | None:
    """The latch of that name, if it is on. Raises: AttributeError when the latches could not be read."""
    if view.safeguards is None:
        return None
    return next((latch for latch in view.safeguards.latches if latch.code is code and latch.tripped), None)


def _activity(view: WorldView) -> Activity | None:
    """The view's activity, if its counts are counts."""
    activity = view.activity
    if not isinstance(activity, Activity):
        return None
    counts = (getattr(activity, name) for name in _COUNTS)
    return activity if all(isinstance(each, int) and each >= 0 for each in counts) else None


def rate(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when this order would be one too many in a second, a minute or a day; unused permits count."""
    allowed = (limits.max_orders_per_s, limits.max_orders_per_minute, limits.max_orders_per_day)
    wanted = ", ".join(_per(each, unit) for each, unit in zip(allowed, ("s", "min", "day"), strict=True))
    activity = _activity(view)
    if activity is None or view.reserving is None:
        return deny(CheckCode.RATE, _MISSING, wanted)
    seen = (activity.last_second, activity.last_minute, activity.last_day)
    ages = [seconds_between(permit.issued_at, view.now) for permit in view.reserving]
    counts = [
        count + sum(age <= length for age in ages) + 1
        for count, length in zip(seen, (1, 60, 86400), strict=True)
    ]
    value = "{} in 1 s, {} in 1 min, {} in 1 day".format(*counts)
    ok = all(limit is not None and count <= limit for count, limit in zip(counts, allowed, strict=True))
    return verdict(CheckCode.RATE, ok, value, wanted)


def _per(limit: Decimal | None, unit: str) -> str:
    return f"{NOT_CONFIGURED if limit is None else number(limit)} per {unit}"


def cooldown(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when a position on the symbol was closed at a loss less than `cooldown_after_loss_s` ago."""
    activity, limit = _activity(view), limits.cooldown_after_loss_s
    wanted = NOT_CONFIGURED if limit is None else f"after {amount(limit, 's')}"
    if activity is None or limit is None:
        return deny(CheckCode.COOLDOWN, _MISSING if activity is None else "age unknown", wanted)
    if activity.last_loss_at is None:
        return verdict(CheckCode.COOLDOWN, ok=True, value="no loss", limit=wanted)
    age = seconds_between(activity.last_loss_at, view.now)
    return verdict(CheckCode.COOLDOWN, age > limit, f"a loss {amount(age, 's')} ago", wanted)


def latched(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when more than `max_rejects` orders were refused, or more than `max_repeats` made on the symbol,
    within `latch_window_s`, or that latch is on.
    """
    wanted = f"{_count(limits.max_rejects, 'rejects')}, {_count(limits.max_repeats, 'on the symbol')}"
    latch = tripped(view, CheckCode.LATCHED)
    if latch is not None:
        return deny(CheckCode.LATCHED, f"latched: {latch.reason}", wanted, "a person must re-arm it")
    activity = _activity(view)
    if activity is None or view.safeguards is None:
        return deny(CheckCode.LATCHED, _MISSING, wanted)
    ok = _within(activity.rejects, limits.max_rejects) and _within(activity.on_symbol, limits.max_repeats)
    return verdict(
        CheckCode.LATCHED, ok, f"{activity.rejects} rejects, {activity.on_symbol} on the symbol", wanted
    )


def _count(limit: Decimal | None, what: str) -> str:
    return f"{NOT_CONFIGURED if limit is None else number(limit)} {what}"


def _within(count: int, limit: Decimal | None) -> bool:
    return limit is not None and count <= limit


def kill_score(_: Intent, view: WorldView, limits: Limits) -> CheckVerdict:
    """Denies when 1 for each reject and loss and 3 for each unknown order within `latch_window_s` add up to
    more than `max_kill_score`.
    """
    activity = _activity(view)
    if activity is None:
        return deny(CheckCode.KILL_SCORE, _MISSING, _count(limits.max_kill_score, "points"))
    score = Decimal(activity.rejects + activity.losses + UNKNOWN_WEIGHT * activity.unknowns)
    return at_most(CheckCode.KILL_SCORE, score, limits.max_kill_score, "points")
