"""Bars over a stretch of time, as a strategy would have seen them close by close: for checks and tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pipeline.domain.timeframes import Timeframe
from pipeline.strategies.candles import Candles

WALK_START_MS = 1_759_968_000_000
"""A UTC midnight: whole bars of every timeframe begin here."""


@dataclass(frozen=True, slots=True)
class Series:
    """All bars of one timeframe, oldest first, closed."""

    timeframe: Timeframe
    candles: Candles

    def closed_at(self, now_ms: int) -> Candles:
        """The bars that are closed at that instant."""
        newest_open = now_ms - self.timeframe.milliseconds
        return self.candles.cut(0, int(np.searchsorted(self.candles.open_time, newest_open, side="right")))


@dataclass(frozen=True, slots=True)
class History:
    """One symbol's bars in several timeframes, the trigger first, the trend last."""

    name: str
    series: tuple[Series, ...]

    @classmethod
    def of(cls, name: str, timeframe: str, candles: Candles, multiples: Sequence[int] = (1, 2, 4)) -> History:
        """Longer timeframes made of one series: its length times each of `multiples`."""
        seconds = Timeframe.parse(timeframe).seconds
        wanted = [_named(seconds * multiple) for multiple in multiples]
        return cls(name, tuple(Series(each, longer(candles, each.milliseconds)) for each in wanted))

    def closes(self, at_least: int, every: int = 1) -> Iterator[int]:
        """The instants (ms) at which a trigger bar closes and every timeframe has `at_least` closed bars."""
        trigger = self.series[0]
        for opened in trigger.candles.open_time[at_least - 1 :: every]:
            now_ms = int(opened) + trigger.timeframe.milliseconds
            if all(len(each.closed_at(now_ms)) >= at_least for each in self.series):
                yield now_ms

    def window(self, now_ms: int, bars: int) -> dict[str, Candles]:
        """The last `bars` closed bars of each timeframe at that instant: what the judge takes."""
        return {each.timeframe.name: each.closed_at(now_ms).tail(bars) for each in self.series}

    def windows(self, bars: int = 200, every: int = 1) -> Iterator[Mapping[str, Candles]]:
        """The window at each close that has one."""
        return (self.window(now_ms, bars) for now_ms in self.closes(bars, every))


def _named(seconds: int) -> Timeframe:
    """`1h` for 3600: the largest unit that divides it."""
    units = {"d": 86400, "h": 3600, "m": 60}
    name = next(name for name, length in units.items() if seconds % length == 0)
    return Timeframe.parse(f"{seconds // units[name]}{name}")


def longer(candles: Candles, length_ms: int) -> Candles:
    """Whole bars of `length_ms` made of shorter, evenly spaced ones; what is not whole is left out."""
    if len(candles) < 2:
        return candles
    step_ms = int(candles.open_time[1] - candles.open_time[0])
    group = candles.open_time // length_ms
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    ends = np.append(starts[1:], len(group)) - 1
    whole = ends - starts + 1 == length_ms // step_ms
    bars = Candles(
        group[starts] * length_ms,
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends],
        np.add.reduceat(candles.volume, starts),
    )
    return _only(bars, whole)


def _only(bars: Candles, wanted: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Candles:
    if bool(wanted.all()):
        return bars
    time, *prices = (column[wanted] for column in bars.columns)
    return Candles(time.astype(np.int64), *(column.astype(np.float64) for column in prices))


def walk(seed: int = 7, minutes: int = 4000, sigma: float = 0.0008) -> History:
    """A seeded random walk in 1m, 5m and 15m bars, with calm and wild hours, pulled gently back to 100.

    Unit: `sigma` is the standard deviation of a minute's return. The same seed gives the same bars.
    """
    rng = np.random.default_rng(seed)
    wildness = np.repeat(rng.choice([0.5, 1.0, 2.5], minutes // 90 + 1), 90)[:minutes]
    level = np.empty(minutes + 1)
    level[0] = 0.0
    for index, step in enumerate(rng.standard_normal(minutes) * sigma * wildness):
        level[index + 1] = level[index] * 0.999 + step
    path = 100.0 * np.exp(level)
    wicks = 1 + np.abs(rng.standard_normal((2, minutes))) * sigma * wildness * 0.5
    opened, closed = path[:-1].copy(), path[1:].copy()
    candles = Candles(
        WALK_START_MS + np.arange(minutes, dtype=np.int64) * 60_000,
        opened,
        np.maximum(opened, closed) * wicks[0],
        np.minimum(opened, closed) / wicks[1],
        closed,
        np.abs(rng.standard_normal(minutes)) * 50.0,
    )
    return History.of(f"walk {seed}", "1m", candles, (1, 5, 15))


def instant(now_ms: int) -> datetime:
    """Aware UTC."""
    return datetime.fromtimestamp(now_ms / 1000, UTC)
