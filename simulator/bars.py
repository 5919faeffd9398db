"""Candles as columns of whole ticks, and the one way to make longer ones from shorter ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]

FIRST = np.zeros(1, np.intp)

INTERVALS: dict[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
}


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles, oldest first.

    Shape: six columns of the same length.
    Unit:  `open_ms` milliseconds since 1970; prices in whole ticks of the instrument; volume in base units.
    """

    open_ms: IntArray
    open: NDArray[np.int32]
    high: NDArray[np.int32]
    low: NDArray[np.int32]
    close: NDArray[np.int32]
    volume: FloatArray

    def __len__(self) -> int:
        return len(self.open_ms)

    def between(self, start_ms: int, end_ms: int) -> Bars:
        """The bars that open in [start, end)."""
        first, last = np.searchsorted(self.open_ms, (start_ms, end_ms))
        return self.part(int(first), int(last))

    def part(self, first: int, last: int) -> Bars:
        """Bars number first to last - 1, without a copy."""
        cut = slice(first, last)
        return Bars(
            self.open_ms[cut],
            self.open[cut],
            self.high[cut],
            self.low[cut],
            self.close[cut],
            self.volume[cut],
        )

    def bar(self, index: int) -> Bar:
        return Bar(
            int(self.open_ms[index]),
            int(self.open[index]),
            int(self.high[index]),
            int(self.low[index]),
            int(self.close[index]),
            float(self.volume[index]),
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle; units as in `Bars`."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: float

    def merged(self, later: Bar) -> Bar:
        """This bar and the one after it as a single bar that opens where this one did."""
        return Bar(
            self.open_ms,
            self.open,
            max(self.high, later.high),
            min(self.low, later.low),
            later.close,
            self.volume + later.volume,
        )


def make_bars(open_ms: IntArray, prices: tuple[NDArray[np.int32], ...], volume: FloatArray) -> Bars:
    """Bars from the time column, the four price columns in the order open, high, low, close, and volume."""
    opens, highs, lows, closes = prices
    return Bars(open_ms, opens, highs, lows, closes, volume)


def empty() -> Bars:
    none = np.empty(0, np.int32)
    return Bars(np.empty(0, np.int64), none, none, none, none, np.empty(0, np.float32))


def joined(parts: list[Bars]) -> Bars:
    """Consecutive pieces as one."""
    if not parts:
        return empty()
    if len(parts) == 1:
        return parts[0]
    columns = ("open_ms", "open", "high", "low", "close", "volume")
    return Bars(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def aggregated(bars: Bars, interval_ms: int) -> Bars:
    """Longer bars, aligned to whole intervals since 1970; a group that lacks its beginning is kept as it is.

    The caller passes whole groups where it needs exact bars.
    """
    if len(bars) == 0:
        return bars
    group = bars.open_ms // interval_ms
    starts = FIRST if group[0] == group[-1] else np.append(FIRST, np.flatnonzero(group[1:] != group[:-1]) + 1)
    ends = np.append(starts[1:], len(bars)) - 1
    return Bars(
        group[starts] * interval_ms,
        bars.open[starts],
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.low, starts),
        bars.close[ends],
        np.add.reduceat(bars.volume, starts),
    )
