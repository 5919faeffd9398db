"""What the market shows at a moment: closed candles, the forming one, the last price and the way it came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np

from simulator.bars import INTERVALS, Bar, Bars
from simulator.clock import DAY_MS, MINUTE_MS
from simulator.errors import BAD_INTERVAL, BAD_SYMBOL, ApiError
from simulator.instruments import Instrument
from simulator.path import Point, Walk


class Series(Protocol):
    """One symbol's prices, from wherever they come."""

    base_ms: int
    first_ms: int
    freeze_ms: int | None
    intervals: frozenset[int]

    def bars(self, interval_ms: int, start_ms: int, end_ms: int) -> Bars:
        """Bars that open in [start, end), whether or not the clock has reached them."""

    def base_bar(self, at_ms: int) -> Bar:
        """The shortest bar around a moment, whole."""


class SeriesSource(Protocol):
    """Gives each symbol its series."""

    def series(self, instrument: Instrument) -> Series: ...


@dataclass(frozen=True, slots=True)
class DayStats:
    """The last 24 hours of a symbol; prices in ticks, volume in base units, turnover in USDT."""

    open: int
    high: int
    low: int
    volume: float
    turnover: float


@dataclass(frozen=True, slots=True)
class Candles:
    """Closed bars and, unless the asked range ends before it, the forming one."""

    closed: Bars
    forming: Bar | None


class Market:
    """The prices of all instruments, seen at the time that the caller names."""

    def __init__(self, instruments: tuple[Instrument, ...], source: SeriesSource) -> None:
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        self._source = source
        self._series: dict[str, Series] = {}
        self._current: dict[str, Walk] = {}
        self._begun: dict[tuple[str, int], tuple[int, Bar | None]] = {}
        self._day: dict[str, tuple[int, DayStats]] = {}

    def instrument(self, symbol: str) -> Instrument:
        """Raises: ApiError -1121."""
        found = self.instruments.get(symbol)
        if found is None:
            raise ApiError(BAD_SYMBOL)
        return found

    def interval(self, symbol: str, name: str) -> int:
        """Milliseconds of an interval that this symbol has. Raises: ApiError -1120."""
        length = INTERVALS.get(name)
        if length is None or length not in self._of(symbol).intervals:
            raise ApiError(BAD_INTERVAL)
        return length

    def unseen(self) -> list[str]:
        """Symbols whose price nobody has asked for: the first answer makes their history, which takes some 20 ms."""
        if len(self._current) == len(self.instruments):
            return []
        return [symbol for symbol in self.instruments if symbol not in self._current]

    def last_ticks(self, symbol: str, now_ms: int) -> int:
        """The last traded price in ticks."""
        series, now_ms = self._at(symbol, now_ms)
        return max(1, round(self._walk(symbol, series, now_ms).price_at(now_ms)))

    def last(self, symbol: str, now_ms: int) -> Decimal:
        """The last traded price; mark and index price follow it exactly."""
        return self.instruments[symbol].price(self.last_ticks(symbol, now_ms))

    def closed(self, symbol: str, interval_ms: int, start_ms: int, now_ms: int) -> Bars:
        """Bars that open at or after `start_ms` and are closed at `now_ms`."""
        series, now_ms = self._at(symbol, now_ms)
        start = -(-start_ms // interval_ms) * interval_ms
        return series.bars(interval_ms, start, now_ms // interval_ms * interval_ms)

    def forming(self, symbol: str, interval_ms: int, now_ms: int) -> Bar:
        """The candle that is open now, with what has happened in it so far."""
        series, now_ms = self._at(symbol, now_ms)
        opened = now_ms // interval_ms * interval_ms
        base_open = now_ms // series.base_ms * series.base_ms
        latest = self._walk(symbol, series, now_ms).so_far(now_ms)
        if base_open <= opened:
            return latest
        earlier = self._earlier(symbol, interval_ms, opened, base_open)
        return latest if earlier is None else earlier.merged(latest)

    def _earlier(self, symbol: str, interval_ms: int, opened: int, until_ms: int) -> Bar | None:
        """What of a candle was over when its latest base bar opened: put together once for each of those."""
        known = self._begun.get((symbol, interval_ms))
        if known is None or known[0] != until_ms:
            series = self._of(symbol)
            bars = series.bars(series.base_ms, opened, until_ms)
            known = (until_ms, whole(bars, opened) if len(bars) else None)
            self._begun[symbol, interval_ms] = known
        return known[1]

    def growing(self, symbol: str, interval_ms: int, now_ms: int) -> Bar | None:
        """The same while the clock is in it. A recording ends in a bar that was never finished: once the clock has
        left it, nobody may see it, for it would pass as closed.
        """
        bar = self.forming(symbol, interval_ms, now_ms)
        return bar if now_ms < bar.open_ms + interval_ms else None

    def candles(self, symbol: str, interval_ms: int, window: Window, now_ms: int) -> Candles:
        """At most `window.limit` candles, as Binance chooses: the oldest from a start, else the latest."""
        at_ms = self._at(symbol, now_ms)[1]
        current = at_ms // interval_ms * interval_ms
        first, last = window.bounds(interval_ms, current)
        closed = self.closed(symbol, interval_ms, first, min(at_ms, last + interval_ms))
        wants_forming = first <= current <= last
        return Candles(closed, self.growing(symbol, interval_ms, now_ms) if wants_forming else None)

    def path(self, symbol: str, after_ms: int, until_ms: int) -> Iterator[Point]:
        """The corner points of the price between two moments, oldest first, and the price at the end."""
        series, until_ms = self._at(symbol, until_ms)
        while after_ms < until_ms:
            walk = self._walk(symbol, series, after_ms + 1)
            yield from walk.stretch(after_ms, until_ms)
            after_ms = max(after_ms + 1, walk.end_ms)

    def stays_within(self, symbol: str, after_ms: int, low: float, high: float) -> int | None:
        """A moment before which the price touches neither bound, seen from `after_ms` on: not later than the next bar.
        None: never, the recording has ended. Bounds in ticks.
        """
        series = self._of(symbol)
        if series.freeze_ms is not None and after_ms >= series.freeze_ms:
            return None
        walk = self._walk(symbol, series, after_ms)
        return walk.stays_within(after_ms, low, high) if walk.covers(after_ms) else after_ms + 1

    def extremes(self, symbol: str, now_ms: int) -> tuple[Decimal, Decimal]:
        """The lowest and the highest price of the shortest bar around that moment, its future included."""
        series, now_ms = self._at(symbol, now_ms)
        bar, instrument = self._walk(symbol, series, now_ms).bar, self.instruments[symbol]
        return instrument.price(max(1, bar.low)), instrument.price(max(1, bar.high))

    def day(self, symbol: str, now_ms: int) -> DayStats:
        """Open, extremes and volume of the last 24 hours; refreshed once a simulated minute."""
        minute = now_ms // MINUTE_MS
        known = self._day.get(symbol)
        if known is None or known[0] != minute:
            known = (minute, self._day_stats(symbol, now_ms))
            self._day[symbol] = known
        return known[1]

    def _day_stats(self, symbol: str, now_ms: int) -> DayStats:
        step = max(15 * MINUTE_MS, self._of(symbol).base_ms)
        now_ms = self._at(symbol, now_ms)[1]
        bars = self.closed(symbol, step, now_ms - DAY_MS, now_ms)
        bar = self.forming(symbol, step, now_ms)
        turnover = float(np.dot(bars.close, bars.volume)) + bar.close * bar.volume
        every = whole(bars, bar.open_ms).merged(bar) if len(bars) else bar
        tick = float(self.instruments[symbol].tick)
        return DayStats(every.open, every.high, every.low, every.volume, turnover * tick)

    def _of(self, symbol: str) -> Series:
        series = self._series.get(symbol)
        if series is None:
            series = self._source.series(self.instrument(symbol))
            self._series[symbol] = series
        return series

    def _at(self, symbol: str, now_ms: int) -> tuple[Series, int]:
        """The series and the time in it: a recording stands still at its last row."""
        series = self._of(symbol)
        return series, now_ms if series.freeze_ms is None else min(now_ms, series.freeze_ms)

    def _walk(self, symbol: str, series: Series, now_ms: int) -> Walk:
        walk = self._current.get(symbol)
        if walk is None or not walk.covers(now_ms):
            walk = Walk(series.base_bar(now_ms), series.base_ms)
            self._current[symbol] = walk
        return walk


@dataclass(frozen=True, slots=True)
class Window:
    """The range that a klines request names."""

    limit: int
    start_ms: int | None = None
    end_ms: int | None = None

    def bounds(self, interval_ms: int, current_ms: int) -> tuple[int, int]:
        """First and last open time to look at."""
        last = current_ms if self.end_ms is None else min(self.end_ms, current_ms)
        last = last // interval_ms * interval_ms
        if self.start_ms is None:
            return last - (self.limit - 1) * interval_ms, last
        first = -(-max(0, self.start_ms) // interval_ms) * interval_ms
        return first, min(last, first + (self.limit - 1) * interval_ms)


def whole(bars: Bars, open_ms: int) -> Bar:
    """All bars as a single one."""
    return Bar(
        open_ms,
        int(bars.open[0]),
        int(bars.high.max()),
        int(bars.low.min()),
        int(bars.close[-1]),
        float(bars.volume.sum()),
    )
