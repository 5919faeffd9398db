"""When a latch trips. Pure; whoever asks writes it to the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from pipeline.domain.checks import CheckCode
from pipeline.domain.guards import Activity, Latch, Marks
from pipeline.domain.positions import Equity
from pipeline.governor.rules.answers import number
from pipeline.governor.rules.history import loss_pct
from pipeline.governor.view import Limits


@dataclass(frozen=True, slots=True)
class Trip:
    """A latch that is to be tripped, and why."""

    code: CheckCode
    reason: str


def losses(equity: Equity | None, marks: Marks | None, limits: Limits) -> Iterator[Trip]:
    """The latches of losses that this equity trips."""
    if equity is None or marks is None:
        return
    day = loss_pct(equity.equity, marks.day_start)
    if limits.max_daily_loss_pct is not None and day > limits.max_daily_loss_pct:
        yield Trip(CheckCode.DAILY_LOSS, _lost(day, "the day", limits.max_daily_loss_pct))
    fall = loss_pct(equity.equity, marks.peak)
    if limits.max_drawdown_pct is not None and fall > limits.max_drawdown_pct:
        yield Trip(CheckCode.DRAWDOWN, _lost(fall, "the peak", limits.max_drawdown_pct))


def _lost(value: Decimal, since: str, limit: Decimal) -> str:
    return f"{number(value.quantize(Decimal('0.01')))} % lost since {since}, limit {number(limit)} %"


def repetitions(activity: Activity | None, limits: Limits) -> Iterator[Trip]:
    """Whether rejects or repeated orders trip their latch."""
    if activity is None or limits.max_rejects is None or limits.max_repeats is None:
        return
    counts: Mapping[str, tuple[int, Decimal]] = {
        "rejected orders": (activity.rejects, limits.max_rejects),
        "orders on one symbol": (activity.on_symbol, limits.max_repeats),
    }
    over = [f"{count} {what}, limit {number(most)}" for what, (count, most) in counts.items() if count > most]
    if over:
        yield Trip(CheckCode.LATCHED, "; ".join(over))


def untripped(trips: Iterator[Trip], latches: Mapping[CheckCode, Latch]) -> list[Trip]:
    """Those that are news."""
    return [trip for trip in trips if trip.code not in latches or not latches[trip.code].tripped]
