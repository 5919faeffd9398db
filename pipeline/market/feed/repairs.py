"""Asking the exchange for what the socket did not bring: a few symbols at a time, each with patience of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.timeframes import CandleRange, Timeframe
from pipeline.market.series import milliseconds
from pipeline.market.source import EPOCH
from pipeline.stages.ports import CandleWindows, Lack, Window

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0


@dataclass(slots=True)
class Repairs:
    """Which symbols may be asked about now. A symbol that keeps failing waits longer each time."""

    at_once: int
    now: Callable[[], float] = time.monotonic
    _asked: set[str] = field(default_factory=set)
    _failures: dict[str, int] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)

    def take(self, lacking: Iterable[str], at_most: int = sys.maxsize) -> list[str]:
        """Those to ask about now; each is to be given back with `done`."""
        free = min(at_most, self.at_once - len(self._asked))
        now = self.now()
        ready = [each for each in lacking if each not in self._asked and self._not_before.get(each, 0) <= now]
        taken = ready[: max(0, free)]
        self._asked.update(taken)
        return taken

    def done(self, symbol: str, *, well: bool) -> None:
        self._asked.discard(symbol)
        if well:
            self._failures.pop(symbol, None)
            self._not_before.pop(symbol, None)
            return
        failures = self._failures[symbol] = self._failures.get(symbol, 0) + 1
        self._not_before[symbol] = self.now() + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (failures - 1))


def reloaded(
    windows: CandleWindows,
    symbol: str,
    timeframes: Sequence[Timeframe],
    now: Callable[[], datetime],
    bars: int,
) -> Window:
    """One symbol's window by that clock; what the store lacks of it is asked for and stored. Never raises."""
    names = [each.name for each in timeframes]
    try:
        return windows.window(symbol, names, now(), bars)
    except Exception as problem:  # noqa: BLE001 - whatever it was, the symbol is asked for again
        why = f"{Lack.MISSING}: {type(problem).__name__}: {problem}"
        ranges = tuple(CandleRange(name, None, None, 0, "", why) for name in names)
        return Window(symbol, EPOCH, {}, ranges)


def whole_up_to(window: Window) -> Mapping[str, int]:
    """For each timeframe that has all its bars the opening time of the newest one, in ms."""
    return {
        each.timeframe: milliseconds(each.last_open)
        for each in window.ranges
        if each.ok and each.last_open is not None
    }
