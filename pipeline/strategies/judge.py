"""The judge: asks each strategy about one window and keeps every answer."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain import timing
from pipeline.domain.signals import NearestMiss, Regime, Signal, StrategyVerdict, VerdictKind
from pipeline.strategies.candles import Candles
from pipeline.strategies.interface import AnyStrategy, Frame, View
from pipeline.strategies.overrun import Overrun, within
from pipeline.strategies.regime import Climate, climate

DEEPEST_FRAMES = 12


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one strategy may take (0: as long as it likes), and which of the process's own errors pass
    through.

    `passes` are those that tell the whole stage to stop: no strategy's fault, and not to be swallowed as one.
    """

    limit_s: float = 0.0
    passes: tuple[type[Exception], ...] = ()


def judge(
    strategies: Sequence[AnyStrategy], candles: Mapping[str, Candles], patience: Patience = Patience()
) -> list[StrategyVerdict]:
    """One verdict for each strategy, in their order. One that raises, or overruns its limit, gives a failed
    one, with its trace; the others are asked all the same.

    `candles`: closed bars by timeframe, in the configured order (trigger first, trend last). Raises:
    ValueError when there is no timeframe at all, which is a failure of the caller; what `patience` lets
    through.
    """
    if not candles:
        raise ValueError("no timeframe to judge: give at least one")
    climates = {timeframe: climate(bars) for timeframe, bars in candles.items()}
    return [_timed(strategy, candles, climates, patience) for strategy in strategies]


def _timed(
    strategy: AnyStrategy,
    candles: Mapping[str, Candles],
    climates: Mapping[str, Climate],
    patience: Patience,
) -> StrategyVerdict:
    started = time.perf_counter()
    verdict = _verdict(strategy, candles, climates, patience)
    took_ms = (time.perf_counter() - started) * 1000
    timing.add(f"strategy {strategy.name}", took_ms)
    return replace(verdict, run_ms=round(took_ms, 4))


def _verdict(
    strategy: AnyStrategy,
    candles: Mapping[str, Candles],
    climates: Mapping[str, Climate],
    patience: Patience,
) -> StrategyVerdict:
    regime = next(iter(climates.values())).regime
    try:
        answer = within(patience.limit_s, lambda: _answer(strategy, candles, climates))
        return _as_verdict(strategy, answer, regime)
    except patience.passes:
        raise
    except (Exception, Overrun):  # noqa: BLE001 - whatever a strategy does wrong is its verdict
        return StrategyVerdict(
            strategy=strategy.name,
            kind=VerdictKind.FAILED,
            regime=regime,
            error=traceback.format_exc(limit=-DEEPEST_FRAMES),
        )


def _answer(
    strategy: AnyStrategy, candles: Mapping[str, Candles], climates: Mapping[str, Climate]
) -> Signal | NearestMiss:
    return _too_short(strategy, candles) or strategy.signal(_view(strategy, candles, climates))


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
