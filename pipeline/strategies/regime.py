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
TRENDING_ADX = 25.0


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
    Start-up: the range is a plain mean, which forgets completely, so that its rank is the same however many
            bars came before; the ADX forgets to a part in a million within 200 bars.
    Source: ADX and true range from Wilder (1978), where 20 to 25 is given as the border of a trend. The range
            is compared with its own last 100 values: a coin that always moves 3 % a bar is not volatile, it
            is itself.
    """
    directed = indicators.last(indicators.adx(candles, PERIOD))
    width = indicators.mean_range(candles, PERIOD) / candles.close
    volatility = indicators.last(indicators.rank(width, HISTORY))
    if math.isnan(volatility):
        return Climate(Regime.UNKNOWN, directed, indicators.last(width), 0.5)
    return Climate(_regime(directed, volatility), directed, indicators.last(width), volatility)


def _regime(adx: float, volatility: float) -> Regime:
    if volatility >= VOLATILE_RANK:
        return Regime.VOLATILE
    return Regime.TRENDING if adx >= TRENDING_ADX else Regime.RANGING
