"""The candle source: the store first, the exchange for what the store lacks, every answer with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import numpy as np

from pipeline.domain.errors import StoreUnavailable, ThroughlineError
from pipeline.domain.ports import MarketData
from pipeline.domain.timeframes import CandleRange, Timeframe
from pipeline.market.absences import NONE
from pipeline.market.encoding import Stored
from pipeline.market.quality import ABSURD_BPS, Checked, Flaw, check
from pipeline.market.series import lacking, merged, milliseconds
from pipeline.market.updates import Merged, Update
from pipeline.market.wishes import Found, Wish, what_lacks
from pipeline.strategies.candles import Candles
from pipeline.strategies.window import Window

NOTHING = Stored(Candles.none(), 0, "nothing stored")
STORE = "store"
EPOCH = datetime.fromtimestamp(0, UTC)
SETTLE = timedelta(seconds=1)
"""How wrong our idea of the exchange's clock may be. A bar that closed less than this ago is believed only when the
exchange shows the next one: so one bar more than is missing is asked for.
"""

KEPT = frozenset({Flaw.GAP, Flaw.JUMP})

Job = Callable[[], Found]


class BarStore(Protocol):
    """What the source asks of its cache; `CandleStore` is the real one. All raise StoreUnavailable."""

    def look(self, symbol: str, timeframes: Sequence[str]) -> dict[str, Stored]: ...

    def merge(self, symbol: str, timeframe: str, candles: Candles, keep: int) -> Candles: ...

    def update(self, updates: Sequence[Update], keep: int) -> list[Merged]: ...


@dataclass(frozen=True, slots=True)
class NotYet:
    """There is no answer. `given_up`: it failed a moment ago, and is not asked for again at once."""

    why: str
    given_up: bool = False


class Asker(Protocol):
    """How the exchange is asked: `errands.Errands` for those who cannot wait."""

    def run(self, jobs: Mapping[str, Job]) -> Mapping[str, Found | NotYet]:
        """Each job's result, or why there is none."""


class AskInTurn:
    """One after the other, however long it takes."""

    def run(self, jobs: Mapping[str, Job]) -> Mapping[str, Found | NotYet]:
        return {key: job() for key, job in jobs.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """`keep` bars stay in the store for each symbol and timeframe: more than a window needs, so that a later stage
    finds the same bars when newer ones have come. `max_lag_bars` may be missing at the newest end of a window. A bar
    that closed less than `patience_ms` ago is not asked for: the feed brings it, and asks for a decision over it.
    """

    keep: int = 220
    max_lag_bars: int = 0
    absurd_bps: float = ABSURD_BPS
    patience_ms: int = 0


class CandleSource:
    """Windows of closed candles; fulfils the stages' `CandleWindows`."""

    def __init__(
        self,
        store: BarStore,
        market_data: MarketData,
        options: SourceOptions | None = None,
        asker: Asker | None = None,
    ) -> None:
        self._store = store
        self._market_data = market_data
        self._options = options or SourceOptions()
        self._asker = asker or AskInTurn()

    def window(self, symbol: str, timeframes: Sequence[str], as_of: datetime, bars: int = 200) -> Window:
        """The newest `bars` closed bars of each timeframe at `as_of`, which is the exchange's time.

        In the steady state this is one round trip to the store. Raises nothing about bars: a timeframe
        that cannot be had carries its problem, and the others are served.
        """
        stored = self._look(symbol, timeframes)
        newest = [Wish.newest(symbol, Timeframe.parse(name), as_of, bars) for name in timeframes]
        wishes = self._without_arriving(newest, stored, as_of)
        found = [each.cut_to_run() for each in self._found(wishes, stored, as_of)]
        told = self._options
        return Window(
            symbol,
            as_of,
            {each.wish.timeframe.name: each.candles for each in found},
            tuple(each.judged(told.max_lag_bars, told.absurd_bps) for each in found),
            pending=any(each.pending for each in found),
        )

    def exact(self, symbol: str, ranges: Sequence[CandleRange]) -> Window:
        """The same bars again, first to last of each range. See `CandleWindows.exact`."""
        closed_at = _closed_at(ranges)
        wishes = [wish for each in ranges if (wish := _wish_again(symbol, each)) is not None]
        stored = self._look(symbol, [wish.timeframe.name for wish in wishes])
        found = {each.wish.timeframe.name: each for each in self._found(wishes, stored, closed_at)}
        parts = [self._again(each, found.get(each.timeframe)) for each in ranges]
        return Window(
            symbol,
            closed_at,
            {told.timeframe: candles for candles, told in parts},
            tuple(told for _, told in parts),
            pending=any(each.pending for each in found.values()),
        )

    def _again(self, before: CandleRange, found: Found | None) -> tuple[Candles, CandleRange]:
        """A range that had no bars keeps its problem."""
        if found is None:
            return Candles.none(), before
        return found.candles, found.compared(before, self._options.absurd_bps)

    def _without_arriving(
        self, newest: Sequence[Wish], stored: Mapping[str, Stored], as_of: datetime
    ) -> Sequence[Wish]:
        """The wishes; while the last bar of one of them is on its way with the feed, and no other bar, as they were
        before that close, all of them: a window is never half of one close and half of the one before.
        """
        just_closed = [self._has_just_closed(wish, as_of) for wish in newest]
        arriving = (
            recent and _lacks_only_the_last(wish, stored[wish.timeframe.name])
            for wish, recent in zip(newest, just_closed, strict=True)
        )
        if not any(arriving):
            return newest
        return [
            wish.one_earlier() if recent else wish for wish, recent in zip(newest, just_closed, strict=True)
        ]

    def _has_just_closed(self, wish: Wish, as_of: datetime) -> bool:
        return milliseconds(as_of) - wish.closed_ms < self._options.patience_ms

    def _found(self, wishes: Sequence[Wish], stored: Mapping[str, Stored], as_of: datetime) -> list[Found]:
        """Each wish from the store; where it lacks bars, from the exchange, which is asked for all of them together."""
        found = {_key(wish): _from_store(wish, stored[wish.timeframe.name]) for wish in wishes}
        jobs: dict[str, Job] = {}
        for key, each in found.items():
            have = stored[each.wish.timeframe.name]
            missing = _to_ask(each, have, milliseconds(as_of))
            if missing is not None:
                why = have.problem or what_lacks(have.candles, each.wish)
                found[key] = replace(each, source=f"rest: {why}")
                jobs[key] = partial(self._asked, found[key], missing, as_of)
        answers = self._asker.run(jobs) if jobs else {}
        return [_answered(each, answers.get(key)) for key, each in found.items()]

    def _look(self, symbol: str, timeframes: Sequence[str]) -> Mapping[str, Stored]:
        try:
            stored = self._store.look(symbol, timeframes)
        except StoreUnavailable as problem:
            unread = Stored(Candles.none(), 0, str(problem))
            return dict.fromkeys(timeframes, unread)
        return {timeframe: stored.get(timeframe, NOTHING) for timeframe in timeframes}

    def _asked(self, have: Found, missing: Wish, as_of: datetime) -> Found:
        """Ask the exchange for the missing bars, and put them into the store."""
        symbol, frame = missing.symbol, missing.timeframe
        since = datetime.fromtimestamp(missing.first_ms / 1000, UTC)
        try:
            rows = self._market_data.bars(symbol, frame.name, since, missing.count + 1)
        except ThroughlineError as problem:
            return replace(have, complaints=(f"{type(problem).__name__}: {problem}",))
        checked = check(rows, frame, as_of, settle=SETTLE, absurd_bps=self._options.absurd_bps)
        new = missing.of(checked.sound)
        absent = _absent(missing, have.candles, checked)
        kept = self._kept(Update(symbol, frame.name, new, absent, milliseconds(as_of)), have.source)
        return replace(
            have,
            candles=have.wish.of(merged(have.candles, new)),
            source=kept,
            complaints=_complaints(checked, absent),
        )

    def _kept(self, update: Update, source: str) -> str:
        """Put it into the store; a store that is away costs time, not the decision. Returns what to say."""
        if not len(update.candles) and not update.absent:
            return source
        try:
            self._store.update([update], self._options.keep)
        except StoreUnavailable as problem:
            return f"{source}; not kept: {problem}"
        return source


def _key(wish: Wish) -> str:
    return f"{wish.symbol}:{wish.timeframe.name}"


def _lacks_only_the_last(wish: Wish, have: Stored) -> bool:
    newest = int(have.candles.open_time[-1]) if len(have.candles) else None
    return newest == wish.one_earlier().last_ms


def _from_store(wish: Wish, have: Stored) -> Found:
    absences = have.absences.between(wish.first_ms, wish.last_ms) if len(have.absences) else have.absences
    complaints = (absences.described,) if len(absences) else ()
    return Found(wish, wish.of(have.candles), STORE, complaints)


def _to_ask(found: Found, have: Stored, now_ms: int) -> Wish | None:
    """From the first to the last bar that is missing and worth asking for."""
    wish = found.wish
    missing = lacking(found.candles, wish.first_ms, wish.last_ms, wish.timeframe)
    if len(missing) and len(have.absences):
        missing = np.setdiff1d(missing, have.absences.resting(now_ms), assume_unique=True)
    if not len(missing):
        return None
    return replace(wish, first_ms=int(missing[0]), last_ms=int(missing[-1]))


def _answered(found: Found, answer: Found | NotYet | None) -> Found:
    if isinstance(answer, NotYet):
        complaints = (*found.complaints, answer.why)
        return replace(found, complaints=complaints, pending=not answer.given_up)
    return found if answer is None else answer


def _absent(missing: Wish, have: Candles, checked: Checked) -> tuple[int, ...]:
    """The bars that the exchange was asked for and does not have, although it has a later one.

    An answer of which a row was refused proves no absence: the bar may be there, told wrongly.
    """
    if any(each.flaw not in KEPT for each in checked.problems):
        return ()
    newest = max((*checked.sound.open_time[-1:].tolist(), *have.open_time[-1:].tolist()), default=0)
    gone = lacking(checked.sound, missing.first_ms, missing.last_ms, missing.timeframe).tolist()
    return tuple(time for time in gone if time < newest)


def _complaints(checked: Checked, absent: Sequence[int]) -> tuple[str, ...]:
    told = (f"the exchange's bars: {checked.summary}",) if checked.problems else ()
    return (*told, NONE.after(absent, Candles.none().open_time, 0).described) if absent else told


def _wish_again(symbol: str, before: CandleRange) -> Wish | None:
    if before.first_open is None or before.last_open is None:
        return None
    frame = Timeframe.parse(before.timeframe)
    return Wish(symbol, frame, milliseconds(before.first_open), milliseconds(before.last_open))


def _closed_at(ranges: Sequence[CandleRange]) -> datetime:
    """When the newest of these bars closed; the epoch when there is none."""
    closes = [
        each.last_open + Timeframe.parse(each.timeframe).length
        for each in ranges
        if each.last_open is not None
    ]
    return max(closes, default=EPOCH)
