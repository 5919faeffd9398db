"""The circuit breaker: when one reason ends nearly everything, say so once, and say when it is over. Pure.

It denies nothing itself: what opens it denies already. It turns a stream of equal denials into one alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pipeline.domain.checks import CheckCode
from pipeline.domain.guards import Breaker
from pipeline.domain.outcomes import EndReason, Outcome, Reason, outcome_of

UNIVERSE_REASONS = (EndReason.OUTSIDE_UNIVERSE, EndReason.SYMBOL_NOT_TRADED)
"""Not denials of the governor, but of the same kind: nothing is traded, always for one reason."""

_REACHED_THE_GOVERNOR = (Outcome.BLOCKED, Outcome.EXECUTED, Outcome.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """`share` of the decisions that wanted an order, of at least `min_decisions` of them."""

    share: Decimal
    min_decisions: int


@dataclass(frozen=True, slots=True)
class Overload:
    """One reason denies nearly everything."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many decisions ended for which reason: within the `whole` window, and within its `newest` part."""

    whole: Mapping[Reason, int]
    newest: Mapping[Reason, int]


def overload(
    ended: Ended, empty_universe: str, rules: BreakerRules, standing: Breaker | None
) -> Overload | None:
    """What keeps the breaker open, or opens it; None when it is to be closed, or stays closed.

    `empty_universe` says what became of the names, if none is in. One that stands open needs to see better
    decisions before it closes, or none at all in the whole window.
    """
    if empty_universe:
        return Overload(CheckCode.NOT_IN_UNIVERSE.value, empty_universe)
    now = _dominant(ended.newest, 1, rules.share)
    if standing is None:
        whole = _dominant(ended.whole, rules.min_decisions, rules.share)
        return whole if now is not None else None
    nothing_new = not _counted(ended.newest) and _counted(ended.whole)
    return Overload(standing.reason, standing.detail) if nothing_new else now


def _dominant(reasons: Mapping[Reason, int], at_least: int, share: Decimal) -> Overload | None:
    counted = _counted(reasons)
    total = sum(counted.values())
    denying = {reason: count for reason, count in counted.items() if _denies(reason)}
    if total < at_least or not denying:
        return None
    reason = max(denying, key=lambda each: (denying[each], each.value))
    if Decimal(denying[reason]) / total <= share:
        return None
    return Overload(reason.value, f"{denying[reason]} of {total} decisions ended as {reason.value}")


def _counted(reasons: Mapping[Reason, int]) -> Mapping[Reason, int]:
    """Those that wanted an order: no signal, or no data, says nothing about the governor."""
    wanted = {reason: outcome_of(reason) for reason in reasons}
    return {
        reason: reasons[reason]
        for reason, outcome in wanted.items()
        if _denies(reason) or outcome in _REACHED_THE_GOVERNOR
    }


def _denies(reason: Reason) -> bool:
    return reason in UNIVERSE_REASONS or outcome_of(reason) is Outcome.BLOCKED
