"""The exchange's clock, told from ours by an offset that is measured now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.timeframes import Clock

NOISE = timedelta(milliseconds=100)
"""Half a round trip can be wrong by this much: a smaller offset counts as none, and our own time is
signed as it is.
"""
PROMPT = 2 * NOISE
TRIES = 3
"""An answer that took longer than `PROMPT` proves little: the exchange is asked again, so many times in all."""
SET_S = 0.5
"""When our clock has moved by so much more, or less, than time has, somebody sets it: at once, or bit by bit."""


def raw_monotonic() -> float:
    """Seconds that have gone by, by a clock that no time server speeds up or slows down. Ours it may, by five seconds
    in a minute, and `time.monotonic` with it.
    """
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


@dataclass(frozen=True, slots=True)
class _Question:
    """What the exchange's clock showed at some moment between two of ours."""

    before: datetime
    theirs: datetime
    after: datetime

    @property
    def took(self) -> timedelta:
        return self.after - self.before


class ExchangeClock:
    """Our clock plus the offset last measured. `ask` reads the exchange's time with one request.

    `speed`: how much faster than ours it runs; only a simulated exchange's does.
    """

    def __init__(
        self,
        ours: Clock,
        ask: Callable[[], datetime],
        max_age_s: float,
        speed: float = 1.0,
        monotonic: Callable[[], float] = raw_monotonic,
    ) -> None:
        self._ours = ours
        self._ask = ask
        self._max_age_s = max_age_s
        self._speed = speed
        self._monotonic = monotonic
        self._offset = timedelta(0)
        self._offset_at: datetime | None = None
        self._measured_at: float | None = None

    def now(self) -> datetime:
        """The exchange's time. Raises: ExchangeUnavailable, ExchangeRefused when it must be measured and
        cannot.
        """
        ours = self._ours.now()
        if self._measured_at is None or not self._holds(ours, self._monotonic() - self._measured_at):
            self.measure()
            ours = self._ours.now()
        return ours + self._offset_then(ours)

    def at(self, ours: datetime) -> datetime:
        """What the exchange's clock showed when ours showed this, without asking anybody. It is ours while the
        offset is unmeasured or within the noise.
        """
        offset = self._offset_then(ours)
        return ours + offset if abs(offset) > NOISE else ours

    def measure(self) -> timedelta:
        """Ask, and take the middle of the round trip as the moment of the answer; of several, of the quickest. Returns
        the offset.

        Of a clock that runs faster it is the end: half a round trip may be a second there, and what is signed with a
        time that has not come yet is refused.
        """
        tries = [self._question()]
        while tries[-1].took > PROMPT and len(tries) < TRIES:
            tries.append(self._question())
        best = min(tries, key=lambda each: each.took)
        self._offset_at = best.after if self._speed > 1.0 else best.before + best.took / 2
        self._offset = best.theirs - self._offset_at
        self._measured_at = self._monotonic()
        return self._offset

    def _question(self) -> _Question:
        before = self._ours.now()
        return _Question(before, self._ask(), self._ours.now())

    @property
    def is_measured(self) -> bool:
        """Whether it was, however long ago, and nobody has found it wrong since."""
        return self._measured_at is not None

    def _holds(self, ours: datetime, age_s: float) -> bool:
        """Whether the measurement is young, and our clock was not set since: it has moved as far as time has."""
        if age_s > self._max_age_s or self._offset_at is None:
            return False
        moved_s = (ours - self._offset_at).total_seconds()
        return self._speed != 1.0 or abs(moved_s - age_s) < SET_S

    def forget(self) -> None:
        """The exchange found our timestamps wrong: the next `now` measures again."""
        self._measured_at = None

    def _offset_then(self, ours: datetime) -> timedelta:
        """The offset grows where the exchange's clock runs faster."""
        if self._offset_at is None or self._speed == 1.0:
            return self._offset
        return self._offset + (ours - self._offset_at) * (self._speed - 1.0)
