"""One decision from many verdicts: the conflict rule.

Under every rule the losers stay on record, and equal scores on one side go to the strategy configured first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.outcomes import EndReason
from pipeline.domain.signals import Side, Signal, StrategyVerdict


@unique
class Rule(StrEnum):
    """Who wins among several signals.

    `highest_score`: the highest; when the best purchase and the best sale lie within a bound of each other,
    neither: two strategies that contradict each other this evenly know nothing. `priority`: the one
    configured first. `unanimous`: the highest, but only when all signals point the same way.
    """

    HIGHEST_SCORE = "highest_score"
    PRIORITY = "priority"
    UNANIMOUS = "unanimous"


@dataclass(frozen=True, slots=True)
class Resolution:
    """All verdicts, the chosen one marked. Without one, `reason` says why, `detail` with which numbers."""

    verdicts: tuple[StrategyVerdict, ...]
    chosen: StrategyVerdict | None
    reason: EndReason | None
    detail: str


def resolve(
    verdicts: Sequence[StrategyVerdict], cancel_within: Decimal, rule: Rule = Rule.HIGHEST_SCORE
) -> Resolution:
    """Apply the rule. `cancel_within` is a difference of scores, 0 to 1; only `highest_score` asks for it."""
    signals = [verdict for verdict in verdicts if verdict.signal is not None]
    if not signals:
        return Resolution(tuple(verdicts), None, EndReason.NO_SIGNAL, _nothing(verdicts))
    if rule is Rule.PRIORITY:
        return _chosen(verdicts, signals[0])
    buy, sell = _best(signals, Side.BUY), _best(signals, Side.SELL)
    if buy is not None and sell is not None:
        cancelled = _cancelled(buy, sell, cancel_within, rule)
        if cancelled:
            return Resolution(tuple(verdicts), None, EndReason.SIGNALS_CANCEL, cancelled)
    return _chosen(verdicts, max(signals, key=_score))


def _chosen(verdicts: Sequence[StrategyVerdict], winner: StrategyVerdict) -> Resolution:
    marked = tuple(replace(verdict, chosen=verdict is winner) for verdict in verdicts)
    chosen = next(verdict for verdict in marked if verdict.chosen)
    return Resolution(marked, chosen, None, f"{winner.strategy} scored {_score(winner)}")


def _best(verdicts: Iterable[StrategyVerdict], side: Side) -> StrategyVerdict | None:
    of_side = [verdict for verdict in verdicts if verdict.signal is not None and verdict.signal.side is side]
    return max(of_side, key=_score, default=None)


def _score(verdict: StrategyVerdict) -> Decimal:
    signal: Signal | None = verdict.signal
    return Decimal(-1) if signal is None else signal.score


def _cancelled(buy: StrategyVerdict, sell: StrategyVerdict, cancel_within: Decimal, rule: Rule) -> str:
    """Why opposite signals cancel each other; empty when they do not."""
    both = f"{buy.strategy} buys with {_score(buy)}, {sell.strategy} sells with {_score(sell)}"
    if rule is Rule.UNANIMOUS:
        return f"{both}: they do not agree on the side"
    if abs(_score(buy) - _score(sell)) <= cancel_within:
        return f"{both}: within {cancel_within} of each other they cancel"
    return ""


def _nothing(verdicts: Iterable[StrategyVerdict]) -> str:
    return "; ".join(_no_signal(verdict) for verdict in verdicts) or "no strategy is enabled"


def _no_signal(verdict: StrategyVerdict) -> str:
    miss = verdict.nearest_miss
    if miss is None:
        last_line = verdict.error.strip().splitlines()[-1:] or ["failed"]
        return f"{verdict.strategy} failed: {last_line[0]}"
    return f"{verdict.strategy} wants {miss.condition} {miss.threshold:.6g}, has {miss.value:.6g}"
