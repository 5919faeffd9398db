"""The simulator's clock: real time, shifted and scaled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
MAX_SPEED = 100_000.0


class SimClock:
    """Milliseconds since 1970 that advance `speed` times as fast as the wall.

    It never goes backwards: orders, trades and closed candles would otherwise have happened in the future.
    """

    def __init__(
        self,
        start_ms: int | None = None,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._anchor_wall = monotonic()
        self._anchor_ms = float(wall_ms() if start_ms is None else start_ms)
        self._speed = checked_speed(speed)

    @property
    def speed(self) -> float:
        return self._speed

    def now_ms(self) -> int:
        """Current simulated time in whole milliseconds."""
        elapsed_s = self._monotonic() - self._anchor_wall
        return int(self._anchor_ms + elapsed_s * 1000.0 * self._speed)

    def set_speed(self, speed: float) -> None:
        """Raises: ValueError when the speed is not a positive, finite number."""
        self._move_anchor(float(self.now_ms()))
        self._speed = checked_speed(speed)

    def set_now(self, now_ms: int) -> None:
        """Raises: ValueError when that would turn the clock back."""
        if now_ms < self.now_ms():
            raise ValueError(f"the clock cannot go back: it is {iso(self.now_ms())}, asked was {iso(now_ms)}")
        self._move_anchor(float(now_ms))

    def advance(self, seconds: float) -> None:
        """Raises: ValueError when the step is negative or not finite."""
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"advance_s must be a number of seconds >= 0, got {seconds}")
        self._move_anchor(self.now_ms() + seconds * 1000.0)

    def _move_anchor(self, now_ms: float) -> None:
        self._anchor_wall = self._monotonic()
        self._anchor_ms = now_ms


def checked_speed(speed: float) -> float:
    """Raises: ValueError unless 0 < speed <= MAX_SPEED."""
    if not (math.isfinite(speed) and 0 < speed <= MAX_SPEED):
        raise ValueError(f"speed must be above 0 and at most {MAX_SPEED:g}, got {speed}")
    return speed


def wall_ms() -> int:
    """Real time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int) -> str:
    """ISO 8601 UTC with milliseconds, `2025-10-10T21:15:00.000Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> int:
    """Milliseconds of an ISO 8601 time; without a zone it is UTC.

    Raises: ValueError when the text is no such time.
    """
    try:
        at = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"'{text}' is not an ISO 8601 time such as 2025-10-10T12:00:00Z") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1000)
