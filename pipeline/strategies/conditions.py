"""Conditions: a strategy's rules as values, so that "no signal" can say what was missing, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.domain.signals import NearestMiss


@dataclass(frozen=True, slots=True)
class Condition:
    """One rule: what it saw, what it wanted, whether it holds. A value that is not a number never holds."""

    name: str
    value: float
    threshold: float
    holds: bool


def above(what: str, value: float, threshold: float, limit: str = "") -> Condition:
    """Holds when `value` > `threshold`. `limit` names the threshold: "close above the lower band"."""
    return Condition(
        f"{what} above {limit}".rstrip(), float(value), float(threshold), bool(value > threshold)
    )


def below(what: str, value: float, threshold: float, limit: str = "") -> Condition:
    """Holds when `value` < `threshold`. `limit` names the threshold: "recent RSI below oversold"."""
    return Condition(
        f"{what} below {limit}".rstrip(), float(value), float(threshold), bool(value < threshold)
    )


def first_miss(conditions: Iterable[Condition]) -> NearestMiss | None:
    """The first condition that fails, in the order in which the strategy tells its story; None when all hold.

    The order is the measure of nearness: a pass that fails late had met everything before.
    """
    for condition in conditions:
        if not condition.holds:
            return _miss(condition)
    return None


def _miss(condition: Condition) -> NearestMiss:
    if math.isfinite(condition.value) and math.isfinite(condition.threshold):
        return NearestMiss(condition.name, condition.value, condition.threshold)
    # Not a number means an indicator still warming up; verdicts are stored as JSON, which has no NaN.
    return NearestMiss(f"{condition.name} (no value yet)", 0.0, 0.0)
