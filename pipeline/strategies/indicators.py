"""Indicators on numpy columns: thin names over TA-Lib.

All are causal (the value at a bar reads that bar and earlier ones only) and give one value for each bar,
NaN during their warm-up. Unless said otherwise: Shape (n,) in, (n,) out; Unit as the input's; Raises
nothing. About 1 to 2 µs each over 200 bars.
"""

from __future__ import annotations

import numpy as np

from pipeline.strategies.candles import Candles, Floats
from pipeline.strategies.ta import functions as ta


def rsi(close: Floats, period: int = 14) -> Floats:
    """Relative strength index, 0 to 100. Prices that never move give 0: ask first whether the market moves.

    Source: Wilder, New Concepts in Technical Trading Systems (1978).
    """
    return ta.RSI(close, period)


def sma(values: Floats, period: int) -> Floats:
    """Simple moving average. It forgets completely: older bars cannot change it."""
    return ta.SMA(values, period)


def ema(values: Floats, period: int) -> Floats:
    """Exponential moving average. After 4 periods of warm-up less than 0.1 % of the start is left in it."""
    return ta.EMA(values, period)


def deviation(values: Floats, period: int) -> Floats:
    """Standard deviation (of the population) over the last `period` values: the width unit of Bollinger's
    bands.

    Source: Bollinger, Bollinger on Bollinger Bands (2001).
    """
    return ta.STDDEV(values, period, 1.0)


def atr(candles: Candles, period: int = 14) -> Floats:
    """Average true range, in quote. Source: Wilder (1978)."""
    return ta.ATR(candles.high, candles.low, candles.close, period)


def mean_range(candles: Candles, period: int = 14) -> Floats:
    """The plain mean of the true range, in quote: as the ATR, but older bars cannot change it."""
    return ta.SMA(ta.TRANGE(candles.high, candles.low, candles.close), period)


def atr_fraction(candles: Candles, period: int = 14) -> Floats:
    """Average true range over the close: 0.01 = one per cent."""
    return ta.NATR(candles.high, candles.low, candles.close, period) / 100.0


def adx(candles: Candles, period: int = 14) -> Floats:
    """Average directional index, 0 to 100: how directed the market is, up or down. Source: Wilder (1978)."""
    return ta.ADX(candles.high, candles.low, candles.close, period)


def rank(values: Floats, period: int = 100) -> Floats:
    """Where each value stands among the `period` values before it: 0 below all of them, 1 above all."""
    return ta.PERCENTRANK(values, period) / 100.0


def lowest(values: Floats, period: int) -> Floats:
    """The minimum of the last `period` values."""
    return ta.MIN(values, period)


def highest(values: Floats, period: int) -> Floats:
    """The maximum of the last `period` values."""
    return ta.MAX(values, period)


def before(values: Floats) -> Floats:
    """At each bar the value of the bar before: `before(highest(high, 20))` leaves the bar itself out."""
    shifted = np.empty_like(values)
    shifted[:1] = np.nan
    shifted[1:] = values[:-1]
    return shifted


def last(values: Floats) -> float:
    """The newest value; NaN of an empty column."""
    return float(values[-1]) if len(values) else float(np.nan)
