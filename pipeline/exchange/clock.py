"""The exchange's clock, told from ours by an offset that is measured now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline.domain.timeframes import Clock

NOISE = timedelta(milliseconds=100)
"""Half a round trip can be wrong by this much: a smaller offset counts as none, and our own time is
signed as it is.
"""


class ExchangeClock:
    """Our clock plus the offset last measured. `ask` reads the exchange's time with one request."""

    def __init__(self, ours: Clock, ask: Callable[[], datetime], max_age_s: float) -> None:
        self._ours = ours
        self._ask = ask
        self._max_age_s = max_age_s
        self._offset = timedelta(0)
        self._measured_at: float | None = None

    @property
    def offset(self) -> timedelta:
        """How far the exchange's clock is ahead of ours; zero while it is unmeasured or within the noise."""
        return self._offset if abs(self._offset) > NOISE else timedelta(0)

    def now(self) -> datetime:
        """The exchange's time. Raises: ExchangeUnavailable, ExchangeRefused when it must be measured and
        cannot.
        """
        if self._measured_at is None or time.monotonic() - self._measured_at > self._max_age_s:
            self.measure()
        return self._ours.now() + self._offset

    def signing_time(self) -> datetime:
        """The time to sign into a request now, without asking anybody."""
        return self._ours.now() + self.offset

    def measure(self) -> timedelta:
        """Ask, and take the middle of the round trip as the moment of the answer."""
        before = self._ours.now()
        theirs = self._ask()
        after = self._ours.now()
        self._offset = theirs - (before + (after - before) / 2)
        self._measured_at = time.monotonic()
        return self._offset

    def forget(self) -> None:
        """The exchange found our timestamps wrong: the next `now` measures again."""
        self._measured_at = None
