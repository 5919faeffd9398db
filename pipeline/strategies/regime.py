"""The climate of a market: trending, ranging or volatile, judged against its own past."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.domain.signals import Regime
from pipeline.strategies import indicators
from pipeline.strategies.candles import Candles

PERIOD = 14
HISTORY = 100
VOLATILE_RANK = 0.90
SURELY_TRENDING_ADX = 30.0
MAYBE_TRENDING_ADX = 20.0
TRENDING_RANK = 0.60


@dataclass(frozen=True, slots=True)
class Climate:
    """What the last closed bar's surroundings look like.

    `adx` 0 to 100; `atr_fraction` average true range over price; `volatility` its rank within the last
    100 bars, 0 the calmest, 1 the wildest. A number that too few bars could not give is NaN, `volatility`
    then 0.5.
    """

    regime: Regime
    adx: float
    atr_fraction: float
    volatility: float


def climate(candles: Candles) -> Climate:
    """The climate at the last bar.

    Shape:  candles (n,); under 114 bars the regime is `unknown`.
    Source: ADX and ATR from Wilder (1978), where 20 to 25 is given as the border of a trend. Both are
            compared with their own last 100 values: a coin that always moves 3 % a bar is not volatile,
            it is itself.
    """
    directed = indicators.adx(candles, PERIOD)
    width = indicators.atr_fraction(candles, PERIOD)
    adx, volatility = indicators.last(directed), indicators.last(indicators.rank(width, HISTORY))
    if math.isnan(volatility):
        return Climate(Regime.UNKNOWN, adx, indicators.last(width), 0.5)
    directed_rank = indicators.last(indicators.rank(directed, HISTORY))
    return Climate(_regime(adx, directed_rank, volatility), adx, indicators.last(width), volatility)


def _regime(adx: float, directed_rank: float, volatility: float) -> Regime:
    if volatility >= VOLATILE_RANK:
        return Regime.VOLATILE
    if adx >= SURELY_TRENDING_ADX:
        return Regime.TRENDING
    # Between the two borders the market's own habit decides: directed for what it usually is?
    if adx >= MAYBE_TRENDING_ADX and directed_rank >= TRENDING_RANK:
        return Regime.TRENDING
    return Regime.RANGING
