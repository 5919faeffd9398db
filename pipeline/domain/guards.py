"""What the governor remembers between decisions: latches, marks of the equity, comparisons, configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pipeline.domain.checks import CheckCode
from pipeline.domain.positions import Equity

LATCHES = (CheckCode.DAILY_LOSS, CheckCode.DRAWDOWN, CheckCode.LATCHED)
"""Rules that, once they have denied, deny until a person re-arms them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """How a latch stands since its last change: tripped with `reason`, or re-armed by somebody for
    `reason`.
    """

    account: str
    code: CheckCode
    tripped: bool
    reason: str
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Equity at the start of the UTC day `day` and its highest value, both since their latch was last re-
    armed.
    """

    account: str
    day: datetime
    day_start: Decimal
    peak: Decimal


def marks_after(marks: Marks | None, equity: Equity) -> Marks:
    """The marks once `equity` is known."""
    at = equity.occurred_at.astimezone(UTC)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if marks is None:
        return Marks(account=equity.account, day=day, day_start=equity.equity, peak=equity.equity)
    peak = max(marks.peak, equity.equity)
    if day <= marks.day:
        return replace(marks, peak=peak)
    return replace(marks, day=day, day_start=equity.equity, peak=peak)


def marks_rearmed(marks: Marks, code: CheckCode, equity: Equity) -> Marks:
    """Losses before somebody accepted them do not trip the latch again."""
    if code is CheckCode.DAILY_LOSS:
        return replace(marks, day_start=equity.equity)
    return replace(marks, peak=equity.equity) if code is CheckCode.DRAWDOWN else marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The last comparison of ledger and exchange; `differences` in words, one for each symbol."""

    account: str
    compared_at: datetime
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A process that takes part in decisions, and the configuration it does so with."""

    process: str
    account: str
    config_hash: str
    beat_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The open circuit breaker of an account: one reason denies nearly everything."""

    account: str
    reason: str
    detail: str
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseRecord:
    """A version of the universe as the ledger keeps it.

    `key` names the settings it was made from, `report` has every name with why it is in or out.
    """

    account: str
    version: str
    symbols: tuple[str, ...]
    key: str
    report: Mapping[str, object] = field(default_factory=dict)
    checked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What the account ordered lately. Attempts count, also refused ones; `on_symbol` are those on one
    symbol.

    `rejects`, `unknowns`, `on_symbol` and `losses` (positions closed below their cost) are of the latch
    window.
    """

    last_second: int
    last_minute: int
    last_day: int
    rejects: int
    unknowns: int
    on_symbol: int
    losses: int
    last_loss_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookback:
    """How far back the governor looks: for rejects, repeats and losses, and for other processes'
    configurations.
    """

    latch_window: timedelta = timedelta(minutes=10)
    config_seen_within: timedelta = timedelta(minutes=1)
