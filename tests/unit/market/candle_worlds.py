"""A market whose bars are functions of their time, an exchange that tells them, a store in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pipeline.domain.errors import StoreUnavailable, ThroughlineError
from pipeline.domain.instruments import Instruments
from pipeline.domain.ports import Quote
from pipeline.domain.timeframes import Timeframe
from pipeline.market.encoding import Stored
from pipeline.market.quality import check
from pipeline.market.series import milliseconds
from pipeline.market.updates import Merged, Update, apply
from pipeline.strategies.candles import Candles

SYMBOL = "BTC/USDT:USDT"
NOW = datetime(2025, 10, 10, 21, 7, 30, tzinfo=UTC)
MINUTE = Timeframe.parse("1m")
Row = list[float]


def price(at_ms: int) -> float:
    """Waves of several lengths: never flat, never twice the same."""
    minute = at_ms / 60_000
    waves = math.sin(minute / 7) + 2 * math.sin(minute / 61) + 5 * math.sin(minute / 977)
    return 100.0 + waves


def row(open_ms: int, timeframe: Timeframe = MINUTE) -> Row:
    """The one true bar that opens then."""
    opened, closed = price(open_ms), price(open_ms + timeframe.milliseconds)
    return [open_ms, opened, max(opened, closed) + 0.1, min(opened, closed) - 0.1, closed, 10.0 + opened]


def rows(first_ms: int, count: int, timeframe: Timeframe = MINUTE) -> list[Row]:
    return [row(first_ms + index * timeframe.milliseconds, timeframe) for index in range(count)]


def newest_rows(count: int, timeframe: Timeframe = MINUTE, now: datetime = NOW) -> list[Row]:
    """The last `count` closed bars."""
    last_ms = milliseconds(timeframe.last_closed_open(now))
    return rows(last_ms - (count - 1) * timeframe.milliseconds, count, timeframe)


def candles(table: Sequence[Row], timeframe: Timeframe = MINUTE, now: datetime = NOW) -> Candles:
    """As they are, gaps and all."""
    return check(table, timeframe, now).sound


def as_rows(bars: Candles) -> list[Row]:
    columns = [column.tolist() for column in bars.columns]
    return [list(values) for values in zip(*columns, strict=True)]


@dataclass
class FakeExchange:
    """Tells true bars, the forming one included, unless told to fail, to lose some or to spoil its answer."""

    at: datetime = NOW
    asked: list[tuple[str, datetime, int]] = field(default_factory=list)
    failing: dict[str, ThroughlineError] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    spoil: Callable[[list[Row]], object] = list

    def now(self) -> datetime:
        return self.at

    def bars(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Sequence[Sequence[float]]:
        self.asked.append((timeframe, since, limit))
        if timeframe in self.failing:
            raise self.failing[timeframe]
        frame = Timeframe.parse(timeframe)
        told = rows(milliseconds(since), limit, frame)
        known = [bar for bar in told if bar[0] <= milliseconds(self.at) and bar[0] not in self.lost]
        return self.spoil(known)  # type: ignore[return-value]  # rubbish on purpose

    def instruments(self) -> Instruments:
        return Instruments({})

    def known_instruments(self) -> Instruments:
        return Instruments({})

    def quote(self, symbol: str) -> Quote:
        raise NotImplementedError

    def pass_time(self, step: timedelta) -> None:
        self.at += step


@dataclass
class MemoryStore:
    """The candle store without Redis; `away` makes it fail as a lost Redis does."""

    kept: dict[tuple[str, str], Stored] = field(default_factory=dict)
    away: bool = False

    def look(self, symbol: str, timeframes: Sequence[str]) -> dict[str, Stored]:
        self._answer()
        return {name: self.kept[symbol, name] for name in timeframes if (symbol, name) in self.kept}

    def merge(self, symbol: str, timeframe: str, candles: Candles, keep: int) -> Candles:
        return self.update([Update(symbol, timeframe, candles)], keep)[0].candles

    def update(self, updates: Sequence[Update], keep: int) -> list[Merged]:
        self._answer()
        return [self._apply(each, keep) for each in updates]

    def _apply(self, update: Update, keep: int) -> Merged:
        key = update.symbol, update.timeframe
        before = self.kept.get(key, Stored(Candles.none()))
        self.kept[key], result = apply(before, update, keep, milliseconds(NOW))
        return result

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("could not reach Redis: connection refused")
