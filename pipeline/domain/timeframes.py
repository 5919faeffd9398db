"""Timeframes and the grid on which their bars lie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_UNITS = {"m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"^([1-9]\d*)([mhd])$")


class Clock(Protocol):
    """Where the pipeline takes the time from. Replay and tests bring their own."""

    def now(self) -> datetime:
        """Aware UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """The length of a bar. `str(Timeframe.parse("30m"))` is `30m` again."""

    seconds: int
    name: str

    @classmethod
    def parse(cls, name: str) -> Timeframe:
        """Raises: ValueError when `name` is not a count of minutes, hours or days."""
        match = _FORM.match(name)
        if match is None:
            raise ValueError(f"'{name}' is not a timeframe; write 1m, 30m, 4h or 1d")
        return cls(int(match[1]) * _UNITS[match[2]], name)

    def __str__(self) -> str:
        return self.name

    @property
    def length(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    @property
    def milliseconds(self) -> int:
        return self.seconds * 1000

    def last_closed_open(self, at: datetime) -> datetime:
        """The opening time of the newest bar that is closed at `at`. Bars lie on the UTC epoch's grid."""
        current_open = int(at.timestamp()) // self.seconds * self.seconds
        return datetime.fromtimestamp(current_open - self.seconds, UTC)


@dataclass(frozen=True, slots=True)
class CandleRange:
    """Which closed bars of one timeframe a decision saw: the claim check that messages carry.

    `jump_bps` marks an absurd jump among the newest bars: how far one reaches from the close before, in basis points.
    """

    timeframe: str
    first_open: datetime | None
    last_open: datetime | None
    count: int
    source: str
    problem: str = ""
    jump_bps: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem

    def as_record(self) -> dict[str, object]:
        return {
            "timeframe": self.timeframe,
            "first_open": iso(self.first_open),
            "last_open": iso(self.last_open),
            "count": self.count,
            "source": self.source,
            "problem": self.problem,
            **({"jump_bps": self.jump_bps} if self.jump_bps else {}),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> CandleRange:
        """What `as_record` wrote. Raises: KeyError, ValueError when it is something else."""
        first, last = record["first_open"], record["last_open"]
        return cls(
            timeframe=str(record["timeframe"]),
            first_open=from_iso(str(first)) if first else None,
            last_open=from_iso(str(last)) if last else None,
            count=int(str(record["count"])),
            source=str(record["source"]),
            problem=str(record["problem"]),
            jump_bps=str(record.get("jump_bps", "")),
        )


def iso(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with a trailing Z and milliseconds, or None."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """The aware UTC datetime that `iso` wrote. Raises: ValueError when it is none, is naive, or is none in UTC."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone; write it in UTC with a trailing Z")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:  # the last hours of the year 9999, told from the west
        raise ValueError(f"'{text}' is no time in UTC") from error
