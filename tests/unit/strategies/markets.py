"""Plausible prices for strategy tests: seeded minutes, longer bars made of them, and the recorded files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pipeline.domain.timeframes import Timeframe
from pipeline.strategies.candles import Candles, Floats

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data"
START_MS = 1_759_968_000_000  # a UTC midnight: whole bars of every timeframe begin here
MINUTE_MS = 60_000
ROLES = ("1m", "5m", "15m")
BARS = 200


def random_minutes(count: int, seed: int = 7, sigma: float = 0.0008) -> Candles:
    """A random walk of one-minute bars with calm and wild hours, pulled gently back to 100."""
    rng = np.random.default_rng(seed)
    wildness = np.repeat(rng.choice([0.5, 1.0, 2.5], count // 90 + 1), 90)[:count]
    level = np.empty(count + 1)
    level[0] = 0.0
    steps = rng.standard_normal(count) * sigma * wildness
    for index in range(count):
        level[index + 1] = level[index] * 0.999 + steps[index]
    path = 100.0 * np.exp(level)
    return from_path(path, np.abs(rng.standard_normal((2, count))) * sigma * wildness * 0.5)


def from_path(path: Floats, reach: Floats | None = None) -> Candles:
    """Minutes through n + 1 prices, n bars; `reach` lengthens the wicks above and below, as fractions."""
    opened, closed = path[:-1].copy(), path[1:].copy()
    wicks = np.zeros((2, len(opened))) if reach is None else reach
    times = START_MS + np.arange(len(opened), dtype=np.int64) * MINUTE_MS
    high = np.maximum(opened, closed) * (1 + wicks[0])
    low = np.minimum(opened, closed) * (1 - wicks[1])
    return Candles(times, opened, high, low, closed, np.full(len(opened), 50.0))


def longer(minutes: Candles, step_ms: int) -> Candles:
    """Whole bars of `step_ms` made of shorter ones; an unfinished last bar is left out."""
    group = minutes.open_time // step_ms
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    ends = np.append(starts[1:], len(group)) - 1
    bars = Candles(
        group[starts] * step_ms,
        minutes.open[starts],
        np.maximum.reduceat(minutes.high, starts),
        np.minimum.reduceat(minutes.low, starts),
        minutes.close[ends],
        np.add.reduceat(minutes.volume, starts),
    )
    base_ms = int(minutes.open_time[1] - minutes.open_time[0])
    whole = int(bars.open_time[-1]) + step_ms <= int(minutes.open_time[-1]) + base_ms
    return bars if whole else bars.cut(0, len(bars) - 1)


def windows(
    base: Candles, multiples: tuple[int, ...] = (1, 5, 15), every: int = 1
) -> Iterator[Mapping[str, Candles]]:
    """What a decision at each close of a base bar sees: the last 200 closed bars of three timeframes."""
    step_ms = int(base.open_time[1] - base.open_time[0])
    series = [(multiple * step_ms, longer(base, multiple * step_ms)) for multiple in multiples]
    for index in range(multiples[-1] * BARS, len(base), every):
        yield window_at(series, int(base.open_time[index]) + step_ms)


def window_at(series: list[tuple[int, Candles]], now_ms: int) -> dict[str, Candles]:
    """The last 200 bars of each series that are closed at `now_ms`."""
    return {f"{length // MINUTE_MS}m": closed(bars, length, now_ms).tail(BARS) for length, bars in series}


def closed(bars: Candles, length_ms: int, now_ms: int) -> Candles:
    return bars.cut(0, int(np.searchsorted(bars.open_time, now_ms - length_ms, side="right")))


def recorded(symbol: str, timeframe: str = "15m") -> Candles:
    """The recorded bars of a symbol, without the last row, which is a bar still forming."""
    with (RECORDED / f"{symbol}_{timeframe}.csv").open() as file:
        rows = list(csv.reader(file))[1:-1]
    return Candles.from_rows(np.array([[_epoch_ms(row[0]), *map(float, row[1:6])] for row in rows]))


def _epoch_ms(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000


def recorded_symbols() -> list[str]:
    return sorted(file.name.removesuffix("_15m.csv") for file in RECORDED.glob("*_15m.csv"))


def length_of(timeframe: str) -> int:
    return Timeframe.parse(timeframe).milliseconds
