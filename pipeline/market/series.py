"""Arithmetic on candles: join two pieces, cut by time, find the newest run without a gap. All pure."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from pipeline.domain.timeframes import Timeframe
from pipeline.strategies.candles import Candles, Floats, Times

NO_TIMES: Times = np.empty(0, np.int64)


def milliseconds(at: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return round(at.timestamp() * 1000)


def merged(old: Candles, new: Candles) -> Candles:
    """The bars of both by opening time; where both have one, the new one.

    Shape: strictly rising in, strictly rising out.
    """
    if not len(new):
        return old
    if not len(old):
        return new
    if new.open_time[0] > old.open_time[-1]:
        return _joined(old, new)
    kept = ~np.isin(old.open_time, new.open_time, assume_unique=True)
    both = _joined(_picked(old, kept), new)
    return _picked(both, np.argsort(both.open_time, kind="stable"))


def newest_run(candles: Candles, timeframe: Timeframe) -> Candles:
    """The contiguous bars up to the newest one: what lies before the last gap does not count."""
    times = candles.open_time
    broken = times[1:] - times[:-1] != timeframe.milliseconds
    return candles.cut(int(np.flatnonzero(broken)[-1]) + 1, len(candles)) if broken.any() else candles


def between(candles: Candles, first_ms: int, last_ms: int) -> Candles:
    """The bars that open from `first_ms` up to and including `last_ms`."""
    start = int(candles.open_time.searchsorted(first_ms, side="left"))
    stop = int(candles.open_time.searchsorted(last_ms, side="right"))
    return candles.cut(start, max(start, stop))


def lacking(candles: Candles, first_ms: int, last_ms: int, timeframe: Timeframe) -> Times:
    """The opening times on the grid from `first_ms` up to and including `last_ms` that have no bar, rising.

    `candles` may have gaps; they must lie on the grid.
    """
    step = timeframe.milliseconds
    have = candles.open_time
    if len(have) and (have[0] < first_ms or have[-1] > last_ms):
        have = between(candles, first_ms, last_ms).open_time
    if len(have) == (last_ms - first_ms) // step + 1:
        return NO_TIMES
    grid: Times = np.arange(first_ms, last_ms + 1, step, dtype=np.int64)
    return grid[~np.isin(grid, have, assume_unique=True)]


def _joined(first: Candles, second: Candles) -> Candles:
    return Candles(
        np.concatenate((first.open_time, second.open_time)),
        _floats(first.open, second.open),
        _floats(first.high, second.high),
        _floats(first.low, second.low),
        _floats(first.close, second.close),
        _floats(first.volume, second.volume),
    )


def _floats(first: Floats, second: Floats) -> Floats:
    return np.concatenate((first, second))


def _picked(candles: Candles, which: np.ndarray[tuple[int, ...], np.dtype[np.bool_ | np.intp]]) -> Candles:
    return Candles(
        candles.open_time[which],
        candles.open[which],
        candles.high[which],
        candles.low[which],
        candles.close[which],
        candles.volume[which],
    )
