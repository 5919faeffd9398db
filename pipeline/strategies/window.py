"""The window of one decision: which closed bars of which timeframes it sees."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

from pipeline.domain.timeframes import CandleRange
from pipeline.strategies.candles import Candles


@unique
class Lack(StrEnum):
    """What is wrong with a timeframe's bars. A range's problem always begins with one of these words."""

    MISSING = "missing"
    SHORT = "short"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Window:
    """One symbol's bars for one decision.

    `candles` holds every timeframe asked for, in the configured order, shortest role first (trigger …
    trend); one without bars is there with 0 bars. `ranges` names the same bars, in the same order, with
    their problems: it is what a stage stores, and what `exact` finds the same bars by. `pending`: the exchange was
    asked for missing bars and has not answered yet.
    """

    symbol: str
    as_of: datetime
    candles: Mapping[str, Candles]
    ranges: tuple[CandleRange, ...]
    pending: bool = False

    @property
    def fingerprint(self) -> str:
        """16 hex digits over every value of every bar: equal only for equal bars, so a revised bar changes
        it.
        """
        digest = hashlib.blake2b(digest_size=8)
        for timeframe, candles in self.candles.items():
            digest.update(timeframe.encode())
            for column in candles.columns:
                digest.update(column.data)
        return digest.hexdigest()

    @property
    def ok(self) -> bool:
        return all(found.ok for found in self.ranges)

    @property
    def only_stale(self) -> bool:
        """Bars enough everywhere, but somewhere the newest is too old."""
        lacks = [found.problem for found in self.ranges if not found.ok]
        return bool(lacks) and all(problem.startswith(Lack.STALE) for problem in lacks)

    @property
    def summary(self) -> str:
        """`30m=ok 1h=ok 4h=missing`."""
        return " ".join(f"{found.timeframe}={_state(found)}" for found in self.ranges)

    @property
    def detail(self) -> str:
        """The summary, and behind it each problem with its timeframe and cause."""
        problems = [f"{found.timeframe} {found.problem}" for found in self.ranges if not found.ok]
        return "; ".join([self.summary, *problems])


def _state(found: CandleRange) -> str:
    return "ok" if found.ok else found.problem.split(":", 1)[0].split(" ", 1)[0]
