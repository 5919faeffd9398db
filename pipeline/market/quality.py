"""Quality: from whatever an exchange sent to candles that can be trusted with money.

A bar is right or it is refused; nothing is repaired by guessing, no bar is invented. What is refused is
missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

import numpy as np
import numpy.typing as npt

from pipeline.domain.timeframes import Timeframe
from pipeline.market.series import milliseconds, newest_run
from pipeline.strategies.candles import Candles, Floats

Mask = npt.NDArray[np.bool_]


@unique
class Flaw(StrEnum):
    """What can be wrong with a row or with the series. All but GAP and JUMP refuse the row."""

    NOT_A_BAR = "not_a_bar"
    NOT_FINITE = "not_finite"
    OFF_GRID = "off_grid"
    NOT_POSITIVE = "not_positive"
    NEGATIVE_VOLUME = "negative_volume"
    HIGH_BELOW_LOW = "high_below_low"
    OUTSIDE_RANGE = "outside_range"
    FROM_THE_FUTURE = "from_the_future"
    CONTRADICTED = "contradicted"
    GAP = "gap"
    JUMP = "jump"


NOT_NUMBERS = (math.nan,) * 6

ABSURD_BPS = 3000.0
"""A bar that reaches further from the close before it, in basis points, is marked as a jump. It may be true: in the
crash of October 2025 a bar of 15 minutes reached 79.6 % below that close. So it is kept, and the governor refuses.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `open_time` in ms names the bar, where its row had a usable time."""

    flaw: Flaw
    open_time: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What came out of a check.

    `candles` the closed bars that count: contiguous up to the newest. `sound` all good ones, gaps and all:
    what the store may keep until the gaps are filled. `problems` everything that was wrong.
    """

    candles: Candles
    sound: Candles
    problems: tuple[Problem, ...]

    @property
    def summary(self) -> str:
        """`3 not_finite, 1 gap`; empty when all was well."""
        flaws = [problem.flaw for problem in self.problems]
        return ", ".join(f"{flaws.count(flaw)} {flaw}" for flaw in Flaw if flaw in flaws)


def check(
    rows: object,
    timeframe: Timeframe,
    now: datetime,
    *,
    settle: timedelta = timedelta(0),
    absurd_bps: float = ABSURD_BPS,
) -> Checked:
    """Closed, ordered, deduplicated, contiguous candles out of raw rows, and the list of problems.

    Shape:  rows of [open time in ms, open, high, low, close, volume], in any order, possibly rubbish.
    `now`:  the exchange's clock; a bar still forming then is not taken, which is no problem but the rule.
    `settle`: how wrong that clock may be. A bar that closed less than this ago is taken only if the rows hold a later
    bar as well: then the exchange itself has gone on.
    Rows that repeat each other count once; rows that contradict each other about one bar are all refused. A jump beyond
    `absurd_bps` is kept, and named.
    """
    table, unusable = _table(rows)
    clean, refused = _clean(table, timeframe, milliseconds(now))
    closed = clean[_is_closed(clean[:, 0], timeframe, milliseconds(now), milliseconds(now - settle))]
    agreed, contradicted = _agreed(closed)
    candles = Candles.from_rows(agreed)
    findings = (*_gaps(candles, timeframe), *_jumps(candles, absurd_bps))
    return Checked(newest_run(candles, timeframe), candles, (*unusable, *refused, *contradicted, *findings))


def check_each(
    rows: Sequence[object], timeframes: Sequence[Timeframe], now_ms: Sequence[int]
) -> list[Candles | Problem | None]:
    """One bar of each of many series, as a stream tells them: for each row its candle, or its first problem, or None
    for a bar that is still forming at its `now_ms`, the exchange's clock.

    Shape:  three sequences of the same length; rows as in `check`, each judged alone by the same rules.
    """
    numbers = [_numbers(row) for row in rows]
    table = np.array([bar or NOT_NUMBERS for bar in numbers], np.float64).reshape(len(numbers), 6)
    steps = np.array([each.milliseconds for each in timeframes], np.float64)
    clocks = np.array(now_ms, np.float64)
    flaws = _first_flaws(table, steps, clocks)
    closed = table[:, 0] + steps <= clocks

    def verdict(index: int) -> Candles | Problem | None:
        flaw = flaws[index]
        if numbers[index] is None:
            return _not_a_bar(index, rows[index])
        if flaw is not None:
            return _problem(flaw, table[index])
        return Candles.from_rows(table[index : index + 1]) if closed[index] else None

    return [verdict(index) for index in range(len(numbers))]


def jumps_bps(candles: Candles) -> Floats:
    """How far each bar reaches, up or down, from the close of the bar before it.

    Shape:  (n,) for n bars; the first has none before it and counts from its own open.
    Unit:   basis points of that close.
    """
    before = np.concatenate((candles.open[:1], candles.close[:-1]))
    with np.errstate(over="ignore"):  # what overflows is a jump
        reach: Floats = np.maximum(candles.high / before - 1, 1 - candles.low / before) * 10_000
    return reach


def newest_jump_bps(candles: Candles, bars: int) -> float:
    """How far the newest `bars` bars reach at most, as `jumps_bps` counts; 0 without a bar before them.

    By hand: for a few bars numpy takes five times as long, and this is asked for each window.
    """
    before: list[float] = candles.close[-bars - 1 : -1].tolist()
    if not before:
        return 0.0
    highs: list[float] = candles.high[-len(before) :].tolist()
    lows: list[float] = candles.low[-len(before) :].tolist()
    reached = zip(before, highs, lows, strict=True)
    return max(max(high / close - 1, 1 - low / close) * 10_000 for close, high, low in reached)


def _table(rows: object) -> tuple[Floats, list[Problem]]:
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
        return np.empty((0, 6)), [Problem(Flaw.NOT_A_BAR, None, f"{type(rows).__name__} instead of rows")]
    numbers = [_numbers(row) for row in rows]
    problems = [_not_a_bar(index, rows[index]) for index, bar in enumerate(numbers) if bar is None]
    usable = [bar for bar in numbers if bar is not None]
    return np.array(usable, np.float64).reshape(len(usable), 6), problems


def _not_a_bar(index: int, row: object) -> Problem:
    return Problem(Flaw.NOT_A_BAR, None, f"row {index}: {row!r:.80}")


def _numbers(row: object) -> tuple[float, ...] | None:
    """Six floats, or None when the row is not six numbers. Text is no number, whatever it spells."""
    if not isinstance(row, Sequence) or len(row) != 6:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in row):
        return None
    try:
        return tuple(float(value) for value in row)
    except OverflowError:
        return None


def _clean(table: Floats, timeframe: Timeframe, now_ms: int) -> tuple[Floats, list[Problem]]:
    """The rows without a flaw of their own, and a problem for each of the others (its first flaw)."""
    refused = np.zeros(len(table), np.bool_)
    problems: list[Problem] = []
    for flaw, flawed in _flaws(table, timeframe.milliseconds, now_ms):
        problems += [_problem(flaw, table[index]) for index in np.flatnonzero(flawed & ~refused)]
        refused |= flawed
    return table[~refused], problems


def _first_flaws(table: Floats, steps: Floats, now_ms: Floats) -> list[Flaw | None]:
    """The first flaw of each row. Shape: (n, 6), (n,), (n,)."""
    first: list[Flaw | None] = [None] * len(table)
    for flaw, flawed in _flaws(table, steps, now_ms):
        for index in flawed.nonzero()[0].tolist():
            first[index] = first[index] or flaw
    return first


def _is_closed(times: Floats, timeframe: Timeframe, now_ms: int, settled_ms: int) -> Mask:
    closes = times + timeframe.milliseconds
    newest = times.max(initial=-np.inf)
    closed: Mask = (closes <= settled_ms) | ((closes <= now_ms) & (times < newest))
    return closed


def _flaws(table: Floats, step_ms: int | Floats, now_ms: int | Floats) -> list[tuple[Flaw, Mask]]:
    """For each flaw of a row, in the order in which they are named, which rows have it.

    `step_ms` the length of a bar and `now_ms` the clock: one for all rows, or one for each.
    """
    time, opened, high, low, close, volume = table.T
    with np.errstate(invalid="ignore"):  # a row with NaN or infinity is refused by the first of them
        return [
            (Flaw.NOT_FINITE, np.logical_or.reduce(~np.isfinite(table), axis=1)),
            (Flaw.OFF_GRID, (np.mod(time, step_ms) != 0) | (time < 0)),
            (Flaw.NOT_POSITIVE, np.minimum.reduce([opened, high, low, close]) <= 0),
            (Flaw.NEGATIVE_VOLUME, volume < 0),
            (Flaw.HIGH_BELOW_LOW, high < low),
            (Flaw.OUTSIDE_RANGE, (np.maximum(opened, close) > high) | (np.minimum(opened, close) < low)),
            (Flaw.FROM_THE_FUTURE, time > now_ms),
        ]


def _problem(flaw: Flaw, row: Floats) -> Problem:
    usable_time = math.isfinite(row[0]) and abs(row[0]) < 2**53
    shown = ", ".join(f"{value:.10g}" for value in row[1:])
    return Problem(flaw, int(row[0]) if usable_time else None, f"open, high, low, close, volume = {shown}")


def _agreed(table: Floats) -> tuple[Floats, list[Problem]]:
    """One row for each opening time, ascending; times about which the rows disagree have none."""
    distinct = np.unique(table, axis=0)
    times, counts = np.unique(distinct[:, 0], return_counts=True)
    torn = times[counts > 1]
    problems = [Problem(Flaw.CONTRADICTED, int(time), "two different bars of this time") for time in torn]
    return distinct[~np.isin(distinct[:, 0], torn)], problems


def _gaps(candles: Candles, timeframe: Timeframe) -> list[Problem]:
    steps = np.diff(candles.open_time)
    return [
        Problem(
            Flaw.GAP,
            int(candles.open_time[index]) + timeframe.milliseconds,
            _missing(steps[index], timeframe),
        )
        for index in np.flatnonzero(steps != timeframe.milliseconds)
    ]


def _jumps(candles: Candles, absurd_bps: float) -> list[Problem]:
    reach = jumps_bps(candles)
    return [
        Problem(Flaw.JUMP, int(candles.open_time[index]), f"{reach[index]:.0f} bps from the close before")
        for index in np.flatnonzero(reach > absurd_bps)
    ]


def _missing(step: np.int64, timeframe: Timeframe) -> str:
    return f"{int(step) // timeframe.milliseconds - 1} bars missing"
