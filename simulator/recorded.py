"""Recorded candles from a folder of `<SYMBOL>_<interval>.csv` files.

Columns `timestamp,open,high,low,close,volume,...`: timestamp is the bar's open in UTC, naive or with a zone.
The last row of a file is taken as a bar that was still forming when it was written: it is never closed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from simulator.bars import INTERVALS, Bar, Bars, aggregated, empty, make_bars
from simulator.clock import iso, parse_iso
from simulator.errors import OptionsError
from simulator.instruments import Instrument, derived, make

FILE_NAME = re.compile(r"([A-Z0-9]+USDT)_(\w+)\.csv")
PRICE_COLUMNS = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file."""

    open_ms: int
    prices: tuple[Decimal, Decimal, Decimal, Decimal]
    volume: float


class RecordedSeries:
    """One symbol's recording in one or more intervals.

    The shortest interval gives the last price and the forming bar; a longer one is taken from its own file
    where there is one, else made from the longest recorded interval that divides it.
    """

    def __init__(self, files: dict[int, Bars]) -> None:
        """`files`: the bars of each recorded interval in milliseconds, the unclosed last row included."""
        self._files = files
        self.base_ms = min(files)
        base = files[self.base_ms]
        self.first_ms = int(base.open_ms[0])
        self.freeze_ms: int | None = int(base.open_ms[-1]) + self.base_ms - 1
        self._sources = dict(self._pick_sources())
        self.intervals = frozenset(self._sources)

    def _pick_sources(self) -> Iterator[tuple[int, int]]:
        for interval in INTERVALS.values():
            divisors = [recorded for recorded in self._files if interval % recorded == 0]
            if divisors:
                yield interval, max(divisors)

    def bars(self, interval_ms: int, start_ms: int, end_ms: int) -> Bars:
        """The recorded bars that open in [start, end), without an incomplete one at the beginning.

        Requires: start and end are whole intervals; the caller does not ask beyond `freeze_ms`.
        """
        if interval_ms not in self._sources:
            return empty()
        source = self._sources[interval_ms]
        begin = -(-int(self._files[source].open_ms[0]) // interval_ms) * interval_ms
        bars = self._files[source].between(max(start_ms, begin), end_ms)
        return bars if source == interval_ms else aggregated(bars, interval_ms)

    def base_bar(self, at_ms: int) -> Bar:
        """The bar around a moment; outside the recording the nearest one."""
        bars = self._files[self.base_ms]
        place = int(np.searchsorted(bars.open_ms, at_ms, side="right")) - 1
        return bars.bar(min(max(place, 0), len(bars) - 1))


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything found in a folder."""

    series: dict[str, RecordedSeries]
    instruments: dict[str, Instrument]

    def default_start_ms(self) -> int:
        """One day before the end: the longest history with something still to come."""
        ends = [series.freeze_ms or 0 for series in self.series.values()]
        begins = [series.first_ms for series in self.series.values()]
        return max(*begins, min(ends) - 86_400_000 + 1)

    def check_start(self, start_ms: int) -> None:
        """Raises: OptionsError when the recording does not cover that moment."""
        first = max(series.first_ms for series in self.series.values())
        last = min(series.freeze_ms or 0 for series in self.series.values())
        if not first <= start_ms <= last:
            raise OptionsError(
                f"--start {iso(start_ms)} is outside the recording, {iso(first)} to {iso(last)}"
            )


def load(folder: Path, wanted: tuple[str, ...], asleep: tuple[str, ...]) -> Recording:
    """Read the candles of the wanted symbols (all that there are when none are named).

    Raises: OptionsError naming folder, file, line or symbol.
    """
    files = find_files(folder)
    missing = [symbol for symbol in wanted if symbol not in files]
    if missing:
        raise OptionsError(
            f"--data {folder}: no file for {missing[0]}; recorded are {', '.join(sorted(files))}"
        )
    series: dict[str, RecordedSeries] = {}
    instruments: dict[str, Instrument] = {}
    for symbol in wanted or tuple(sorted(files)):
        rows = {interval: read_rows(path) for interval, path in files[symbol].items()}
        instrument = instrument_of(symbol, rows, active=symbol not in asleep)
        instruments[symbol] = instrument
        series[symbol] = RecordedSeries(
            {interval: to_bars(found, instrument.tick) for interval, found in rows.items()}
        )
    return Recording(series, instruments)


def find_files(folder: Path) -> dict[str, dict[int, Path]]:
    """The CSV files by symbol and interval. Raises: OptionsError when there are none."""
    if not folder.is_dir():
        raise OptionsError(f"--data {folder}: no such folder")
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob("*.csv")):
        name = FILE_NAME.fullmatch(path.name)
        if name and name[2] in INTERVALS:
            found.setdefault(name[1], {})[INTERVALS[name[2]]] = path
    if not found:
        raise OptionsError(f"--data {folder}: no candle files such as BTCUSDT_15m.csv")
    return found


def read_rows(path: Path) -> list[Row]:
    """The rows of a file, oldest first. Raises: OptionsError naming the line that cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = [read_row(path, number, row) for number, row in enumerate(csv.DictReader(handle), start=2)]
    except (OSError, UnicodeDecodeError) as error:
        raise OptionsError(f"--data {path}: cannot be read ({error})") from None
    if len(rows) < 2:
        raise OptionsError(f"--data {path}: needs at least two rows, the last one counts as unclosed")
    return sorted({row.open_ms: row for row in rows}.values(), key=lambda row: row.open_ms)


def read_row(path: Path, number: int, row: dict[str, str]) -> Row:
    try:
        opened, high, low, closed = (Decimal(row[name]) for name in PRICE_COLUMNS)
        parsed = Row(parse_iso(row["timestamp"]), (opened, high, low, closed), float(row["volume"]))
    except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as error:
        raise OptionsError(f"--data {path}: line {number} is not a candle ({error!r})") from None
    if not all(price.is_finite() and 0 < low <= price <= high for price in parsed.prices):
        raise OptionsError(f"--data {path}: line {number}: needs 0 < low <= open, close <= high")
    return parsed


def instrument_of(symbol: str, rows: dict[int, list[Row]], active: bool) -> Instrument:
    """The known instrument, or one derived from the prices, its tick as fine as theirs."""
    every = [price for found in rows.values() for row in found for price in row.prices]
    finest = min(int(price.as_tuple().exponent) for price in every)
    tick = min(make(symbol).tick, Decimal(1).scaleb(finest))
    return derived(symbol, float(rows[min(rows)][0].prices[0]), tick, active)


def to_bars(rows: list[Row], tick: Decimal) -> Bars:
    prices = np.array([[int(price / tick) for price in row.prices] for row in rows], np.int32).T
    times = np.array([row.open_ms for row in rows], np.int64)
    volume = np.array([row.volume for row in rows], np.float32)
    return make_bars(times, (prices[0], prices[1], prices[2], prices[3]), volume)
