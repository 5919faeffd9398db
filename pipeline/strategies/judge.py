"""The judge: asks each strategy about one window and keeps every answer."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.domain.signals import NearestMiss, Regime, Signal, StrategyVerdict, VerdictKind
from pipeline.strategies.candles import Candles
from pipeline.strategies.interface import AnyStrategy, Frame, View
from pipeline.strategies.regime import Climate, climate

DEEPEST_FRAMES = 12


def judge(strategies: Sequence[AnyStrategy], candles: Mapping[str, Candles]) -> list[StrategyVerdict]:
    """One verdict for each strategy, in their order; a strategy that raises gives a failed one, with its
    trace.

    `candles`: closed bars by timeframe, in the configured order (trigger first, trend last); none is a
    failure of the caller. Raises: ValueError when there is no timeframe at all.
    """
    if not candles:
        raise ValueError("no timeframe to judge: give at least one")
    climates = {timeframe: climate(bars) for timeframe, bars in candles.items()}
    return [_timed(strategy, candles, climates) for strategy in strategies]


def _timed(
    strategy: AnyStrategy, candles: Mapping[str, Candles], climates: Mapping[str, Climate]
) -> StrategyVerdict:
    started = time.perf_counter()
    verdict = _verdict(strategy, candles, climates)
    return replace(verdict, run_ms=round((time.perf_counter() - started) * 1000, 4))


def _verdict(
    strategy: AnyStrategy, candles: Mapping[str, Candles], climates: Mapping[str, Climate]
) -> StrategyVerdict:
    regime = next(iter(climates.values())).regime
    try:
        answer = _too_short(strategy, candles) or strategy.signal(_view(strategy, candles, climates))
        return _as_verdict(strategy, answer, regime)
    except Exception:  # noqa: BLE001 - any fault of a strategy, and its time limit, is its verdict; the others go on
        return StrategyVerdict(
            strategy=strategy.name,
            kind=VerdictKind.FAILED,
            regime=regime,
            error=traceback.format_exc(limit=-DEEPEST_FRAMES),
        )


def _too_short(strategy: AnyStrategy, candles: Mapping[str, Candles]) -> NearestMiss | None:
    for timeframe, bars in candles.items():
        if len(bars) < strategy.warm_up:
            return NearestMiss(f"bars of {timeframe} at least", float(len(bars)), float(strategy.warm_up))
    return None


def _view(strategy: AnyStrategy, candles: Mapping[str, Candles], climates: Mapping[str, Climate]) -> View:
    return View(
        tuple(
            Frame(timeframe, bars, strategy.indicators(bars), climates[timeframe])
            for timeframe, bars in candles.items()
        )
    )


def _as_verdict(strategy: AnyStrategy, answer: object, regime: Regime) -> StrategyVerdict:
    if isinstance(answer, Signal):
        named = answer if answer.regime is not Regime.UNKNOWN else replace(answer, regime=regime)
        return StrategyVerdict(strategy=strategy.name, kind=VerdictKind.SIGNAL, regime=regime, signal=named)
    if isinstance(answer, NearestMiss):
        return StrategyVerdict(
            strategy=strategy.name, kind=VerdictKind.NO_SIGNAL, regime=regime, nearest_miss=answer
        )
    raise TypeError(
        f"{strategy.name}.signal returned {type(answer).__name__}; it must return a Signal or a NearestMiss"
    )
