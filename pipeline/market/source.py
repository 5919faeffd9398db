"""The candle source: the store first, the exchange for what the store lacks, every answer with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pipeline.domain.errors import StoreUnavailable, ThroughlineError
from pipeline.domain.ports import MarketData
from pipeline.domain.timeframes import CandleRange, Timeframe
from pipeline.market.encoding import Stored
from pipeline.market.quality import check
from pipeline.market.series import between, merged, milliseconds, missing_span, newest_run
from pipeline.strategies.candles import Candles
from pipeline.strategies.window import Lack, Window

NOTHING = Stored(Candles.none(), 0, "nothing stored")
STORE = "store"
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which bars are wanted: opening times in ms, both ends included, on the timeframe's grid."""

    symbol: str
    timeframe: Timeframe
    first_ms: int
    last_ms: int

    @property
    def count(self) -> int:
        return (self.last_ms - self.first_ms) // self.timeframe.milliseconds + 1

    def of(self, candles: Candles) -> Candles:
        return between(candles, self.first_ms, self.last_ms)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for a wish. `complaints` are the causes of what is still missing, for people."""

    wish: Wish
    candles: Candles
    source: str
    complaints: tuple[str, ...] = ()


class BarStore(Protocol):
    """What the source asks of its cache; `CandleStore` is the real one. Both raise StoreUnavailable."""

    def look(self, symbol: str, timeframes: Sequence[str]) -> dict[str, Stored]: ...

    def merge(self, symbol: str, timeframe: str, candles: Candles, keep: int) -> Candles: ...


class CandleSource:
    """Windows of closed candles; fulfils the stages' `CandleWindows`.

    `keep` bars stay in the store for each symbol and timeframe: more than a window needs, so that a later
    stage finds the same bars when newer ones have come. `max_lag_bars` may be missing at the newest end
    of a window.
    """

    def __init__(
        self, store: BarStore, market_data: MarketData, *, keep: int = 220, max_lag_bars: int = 0
    ) -> None:
        self._store = store
        self._market_data = market_data
        self._keep = keep
        self._max_lag_bars = max_lag_bars

    def window(self, symbol: str, timeframes: Sequence[str], as_of: datetime, bars: int = 200) -> Window:
        """The newest `bars` closed bars of each timeframe at `as_of`, which is the exchange's time.

        In the steady state this is one round trip to the store. Raises nothing about bars: a timeframe
        that cannot be had carries its problem, and the others are served.
        """
        stored = self._look(symbol, timeframes)
        found = [
            self._found(_newest(symbol, Timeframe.parse(timeframe), as_of, bars), stored[timeframe], as_of)
            for timeframe in timeframes
        ]
        return _window(symbol, as_of, [(one.candles, self._judged(one)) for one in map(_cut_to_run, found)])

    def exact(self, symbol: str, ranges: Sequence[CandleRange]) -> Window:
        """The same bars again, first to last of each range. See `CandleWindows.exact`."""
        stored = self._look(symbol, [each.timeframe for each in ranges])
        parts = [self._again(symbol, each, stored[each.timeframe]) for each in ranges]
        return _window(symbol, _closed_at(ranges), parts)

    def _look(self, symbol: str, timeframes: Sequence[str]) -> Mapping[str, Stored]:
        try:
            stored = self._store.look(symbol, timeframes)
        except StoreUnavailable as problem:
            unread = Stored(Candles.none(), 0, str(problem))
            return dict.fromkeys(timeframes, unread)
        return {timeframe: stored.get(timeframe, NOTHING) for timeframe in timeframes}

    def _found(self, wish: Wish, stored: Stored, as_of: datetime) -> Found:
        span = missing_span(stored.candles, wish.first_ms, wish.last_ms, wish.timeframe)
        if span is None:
            return Found(wish, wish.of(stored.candles), STORE)
        why = stored.problem or _what_lacks(stored.candles, wish)
        return self._asked(wish, stored.candles, span, why, as_of)

    def _asked(self, wish: Wish, have: Candles, span: tuple[int, int], why: str, as_of: datetime) -> Found:
        """Ask the exchange for the missing bars, first to last of `span`, and put them into the store."""
        source = f"rest: {why}"
        lacking = Wish(wish.symbol, wish.timeframe, *span)
        since = datetime.fromtimestamp(lacking.first_ms / 1000, UTC)
        try:
            rows = self._market_data.bars(wish.symbol, wish.timeframe.name, since, lacking.count)
        except ThroughlineError as problem:
            return Found(wish, wish.of(have), source, (f"{type(problem).__name__}: {problem}",))
        checked = check(rows, wish.timeframe, as_of)
        new = lacking.of(checked.sound)
        complaints = (f"the exchange's bars: {checked.summary}",) if checked.problems else ()
        return Found(wish, wish.of(merged(have, new)), self._kept(wish, new, source), complaints)

    def _kept(self, wish: Wish, new: Candles, source: str) -> str:
        """Merge into the store; a store that is away costs time, not the decision. Returns what to say."""
        if not len(new):
            return source
        try:
            self._store.merge(wish.symbol, wish.timeframe.name, new, self._keep)
        except StoreUnavailable as problem:
            return f"{source}; not kept: {problem}"
        return source

    def _judged(self, found: Found) -> CandleRange:
        lag = _lag(found)
        if lag > self._max_lag_bars or not len(found.candles):
            lack = Lack.STALE if len(found.candles) + lag >= found.wish.count else Lack.SHORT
            return _range(found, _because(_lack_text(found, lack), found))
        if len(found.candles) + lag < found.wish.count:
            return _range(found, _because(_lack_text(found, Lack.SHORT), found))
        return _range(found, "")

    def _again(self, symbol: str, before: CandleRange, stored: Stored) -> tuple[Candles, CandleRange]:
        if before.first_open is None or before.last_open is None:
            return Candles.none(), before
        timeframe = Timeframe.parse(before.timeframe)
        wish = Wish(symbol, timeframe, milliseconds(before.first_open), milliseconds(before.last_open))
        # At the instant when its last bar closed, the earlier stage's newest bar is the newest here as well.
        found = self._found(wish, stored, before.last_open + timeframe.length)
        if len(found.candles) == before.count == wish.count:
            return found.candles, _range(found, before.problem)
        text = f"{Lack.MISSING}: {len(found.candles)} of the {before.count} bars seen before can still be had"
        return found.candles, _range(found, _because(text, found))


def _closed_at(ranges: Sequence[CandleRange]) -> datetime:
    """When the newest of these bars closed; the epoch when there is none."""
    closes = [
        each.last_open + Timeframe.parse(each.timeframe).length
        for each in ranges
        if each.last_open is not None
    ]
    return max(closes, default=EPOCH)


def _newest(symbol: str, timeframe: Timeframe, as_of: datetime, bars: int) -> Wish:
    last_ms = milliseconds(timeframe.last_closed_open(as_of))
    return Wish(symbol, timeframe, last_ms - (bars - 1) * timeframe.milliseconds, last_ms)


def _cut_to_run(found: Found) -> Found:
    """Only the contiguous newest bars count."""
    run = newest_run(found.candles, found.wish.timeframe)
    if len(run) == len(found.candles):
        return found
    gap = f"a gap before {run.opened_at(0):%Y-%m-%d %H:%M}"
    return Found(found.wish, run, found.source, (*found.complaints, gap))


def _lag(found: Found) -> int:
    """How many closed bars are missing at the newest end."""
    if not len(found.candles):
        return found.wish.count
    return (found.wish.last_ms - int(found.candles.open_time[-1])) // found.wish.timeframe.milliseconds


def _what_lacks(candles: Candles, wish: Wish) -> str:
    have = wish.of(candles)
    if not len(have):
        return "no bar of the window stored"
    behind = (wish.last_ms - int(have.open_time[-1])) // wish.timeframe.milliseconds
    if behind and behind + len(have) == wish.count:
        return f"{behind} bars behind"
    return f"{wish.count - len(have)} of {wish.count} bars not stored"


def _lack_text(found: Found, lack: Lack) -> str:
    if not len(found.candles):
        return f"{Lack.MISSING}: none of {found.wish.count} bars"
    if lack is Lack.STALE:
        newest = found.candles.opened_at(-1)
        return f"{lack}: the newest closed bar is of {newest:%Y-%m-%d %H:%M}, {_lag(found)} bars behind"
    return f"{lack}: {len(found.candles)} of {found.wish.count} bars"


def _because(text: str, found: Found) -> str:
    return "; ".join([text, *found.complaints])


def _range(found: Found, problem: str) -> CandleRange:
    candles = found.candles
    return CandleRange(
        timeframe=found.wish.timeframe.name,
        first_open=candles.opened_at(0) if len(candles) else None,
        last_open=candles.opened_at(-1) if len(candles) else None,
        count=len(candles),
        source=found.source,
        problem=problem,
    )


def _window(symbol: str, as_of: datetime, parts: Sequence[tuple[Candles, CandleRange]]) -> Window:
    ranges = tuple(each for _, each in parts)
    return Window(symbol, as_of, {each.timeframe: candles for candles, each in parts}, ranges)
