"""What is wanted of the candles, what was found, and how to say what is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.domain.timeframes import CandleRange, Timeframe
from pipeline.market.quality import newest_jump_bps
from pipeline.market.series import between, milliseconds, newest_run
from pipeline.strategies.candles import Candles
from pipeline.strategies.window import Lack

JUMP_BARS = 4
"""How many of the newest bars a jump is looked for in: those that a signal is mostly made of."""


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

    @property
    def closed_ms(self) -> int:
        """When its last bar closes."""
        return self.last_ms + self.timeframe.milliseconds

    def one_earlier(self) -> Wish:
        """As many bars, the last one before ours."""
        step = self.timeframe.milliseconds
        return replace(self, first_ms=self.first_ms - step, last_ms=self.last_ms - step)

    def of(self, candles: Candles) -> Candles:
        return between(candles, self.first_ms, self.last_ms)

    @classmethod
    def newest(cls, symbol: str, timeframe: Timeframe, as_of: datetime, bars: int) -> Wish:
        """The newest `bars` that are closed at `as_of`."""
        last_ms = milliseconds(timeframe.last_closed_open(as_of))
        return cls(symbol, timeframe, last_ms - (bars - 1) * timeframe.milliseconds, last_ms)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for a wish. `complaints` are the causes of what is still missing, for people.

    `pending`: the exchange has been asked and has not answered yet.
    """

    wish: Wish
    candles: Candles
    source: str
    complaints: tuple[str, ...] = ()
    pending: bool = False

    @property
    def lag(self) -> int:
        """How many closed bars are missing at the newest end."""
        if not len(self.candles):
            return self.wish.count
        behind = self.wish.last_ms - int(self.candles.open_time[-1])
        return behind // self.wish.timeframe.milliseconds

    def cut_to_run(self) -> Found:
        """Only the contiguous newest bars count."""
        run = newest_run(self.candles, self.wish.timeframe)
        if len(run) == len(self.candles):
            return self
        gap = f"a gap before {run.opened_at(0):%Y-%m-%d %H:%M}"
        return replace(self, candles=run, complaints=(*self.complaints, gap))

    def judged(self, max_lag_bars: int, absurd_bps: float) -> CandleRange:
        """As a window's range: with its problem, if it is too short or too old."""
        lag = self.lag
        if lag > max_lag_bars or not len(self.candles):
            lack = Lack.STALE if len(self.candles) + lag >= self.wish.count else Lack.SHORT
            return self.as_range(self._because(self._lack_text(lack)), absurd_bps)
        if len(self.candles) + lag < self.wish.count:
            return self.as_range(self._because(self._lack_text(Lack.SHORT)), absurd_bps)
        return self.as_range("", absurd_bps)

    def compared(self, before: CandleRange, absurd_bps: float) -> CandleRange:
        """As the range of a later stage, which must have all the bars that an earlier one saw."""
        if len(self.candles) == before.count == self.wish.count:
            return self.as_range(before.problem, absurd_bps)
        have = len(self.candles)
        text = f"{Lack.MISSING}: {have} of the {before.count} bars seen before can still be had"
        return self.as_range(self._because(text), absurd_bps)

    def as_range(self, problem: str, absurd_bps: float) -> CandleRange:
        candles = self.candles
        return CandleRange(
            timeframe=self.wish.timeframe.name,
            first_open=candles.opened_at(0) if len(candles) else None,
            last_open=candles.opened_at(-1) if len(candles) else None,
            count=len(candles),
            source=self.source,
            problem=problem,
            jump_bps=newest_jump(candles, absurd_bps),
        )

    def _because(self, text: str) -> str:
        return "; ".join([text, *self.complaints])

    def _lack_text(self, lack: Lack) -> str:
        if not len(self.candles):
            return f"{Lack.MISSING}: none of {self.wish.count} bars"
        if lack is Lack.STALE:
            newest = self.candles.opened_at(-1)
            return f"{lack}: the newest closed bar is of {newest:%Y-%m-%d %H:%M}, {self.lag} bars behind"
        return f"{lack}: {len(self.candles)} of {self.wish.count} bars"


def newest_jump(candles: Candles, absurd_bps: float) -> str:
    """The largest jump among the newest bars, in basis points, where it is beyond `absurd_bps`; else empty."""
    worst = newest_jump_bps(candles, JUMP_BARS)
    return f"{worst:.2f}" if worst > absurd_bps else ""


def what_lacks(candles: Candles, wish: Wish) -> str:
    """Why the exchange must be asked, in words."""
    have = wish.of(candles)
    if not len(have):
        return "no bar of the window stored"
    behind = (wish.last_ms - int(have.open_time[-1])) // wish.timeframe.milliseconds
    if behind and behind + len(have) == wish.count:
        return f"{behind} bars behind"
    return f"{wish.count - len(have)} of {wish.count} bars not stored"
