"""What the governor remembers, read and written inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.domain.checks import CheckCode
from pipeline.domain.events import EventName, Events
from pipeline.domain.guards import LATCHES, Latch, Lookback, marks_after, marks_rearmed
from pipeline.domain.ports import Unit
from pipeline.domain.positions import Equity
from pipeline.domain.standing import Horizon
from pipeline.governor import latches
from pipeline.governor.latches import Trip
from pipeline.governor.view import Limits

GOVERNOR = "governor"


def horizon(limits: Limits, lookback: Lookback, now: datetime) -> Horizon:
    """How far back the rules look."""
    return Horizon(
        orders=now - _seconds(limits.duplicate_within_s),
        latch=now - lookback.latch_window,
        losses=now - _seconds(limits.cooldown_after_loss_s),
        beats=now - lookback.config_seen_within,
    )


def _seconds(limit: Decimal | None) -> timedelta:
    return timedelta(seconds=float(limit or 0))


def keep_marks(unit: Unit, equity: Equity, limits: Limits, now: datetime) -> list[Trip]:
    """Move the account's marks along; returns the latches that this equity has tripped now."""
    unit.permits.lock_budget(equity.account)
    marks = marks_after(unit.guards.marks(equity.account), equity)
    unit.guards.save_marks(marks)
    return trip(unit, equity.account, list(latches.losses(equity, marks, limits)), now)


def trip(unit: Unit, account: str, trips: Sequence[Trip], now: datetime) -> list[Trip]:
    """Trip latches; returns those that were not tripped before."""
    return [
        each
        for each in trips
        if unit.guards.set_latch(
            Latch(
                account=account,
                code=each.code,
                tripped=True,
                reason=each.reason,
                changed_by=GOVERNOR,
                changed_at=now,
            )
        )
    ]


def tell(events: Events, account: str, tripped: Sequence[Trip]) -> None:
    """Say which latches have tripped, and call somebody."""
    for each in tripped:
        events.emit(EventName.LATCH, account=account, code=each.code, tripped=True, reason=each.reason)
        alert(events, f"the latch {each.code} has tripped", each.reason, account=account)


def alert(events: Events, what: str, detail: str, *, account: str) -> None:
    """Somebody should look at this now."""
    events.emit(EventName.ALERT, what=what, detail=detail, account=account)


def rearm(unit: Unit, account: str, code: CheckCode, *, by: str, reason: str, now: datetime) -> bool:
    """Take a latch back. What was lost or refused before counts no more. False when it was not tripped.

    Raises: ValueError when the code has no latch.
    """
    if code not in LATCHES:
        raise ValueError(f"{code} has no latch; there are: {', '.join(LATCHES)}")
    latch = Latch(account=account, code=code, tripped=False, reason=reason, changed_by=by, changed_at=now)
    unit.permits.lock_budget(account)
    if not unit.guards.set_latch(latch):
        return False
    marks, equity = unit.guards.marks(account), unit.equity.latest(account)
    if marks is not None and equity is not None:
        unit.guards.save_marks(marks_rearmed(marks, code, equity))
    return True
