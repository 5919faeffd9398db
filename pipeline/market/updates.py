"""What an update makes of stored candles. Pure: the store applies it atomically, a test applies it in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.domain.timeframes import Timeframe
from pipeline.market.encoding import Stored
from pipeline.market.series import merged
from pipeline.strategies.candles import Candles


@dataclass(frozen=True, slots=True)
class Update:
    """Bars to add to one symbol and timeframe, checked before (see `quality.check`).

    `absent`: opening times in ms of bars that the exchange was asked for and does not have; `asked_ms`: when, by its
    own clock.
    """

    symbol: str
    timeframe: str
    candles: Candles
    absent: tuple[int, ...] = ()
    asked_ms: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of an update: the bars stored now, how many were `added`, how many took an older version's place."""

    candles: Candles
    added: int
    revised: int


def apply(stored: Stored, update: Update, keep: int, now_ms: int) -> tuple[Stored, Merged]:
    """The newest `keep` bars of both; where both have one, the new one, counted when it differs.

    Returns `stored` itself when nothing changes. Bytes that could not be used count as nothing stored.
    """
    before, new = stored.candles, update.candles
    after = merged(before, new).tail(keep)
    added, revised = _counted(before, new)
    result = Merged(after, added, revised)
    if not (added or revised or update.absent):
        return stored, result
    absences = stored.absences.after(update.absent, after.open_time, update.asked_ms)
    if len(after):
        newest = int(after.open_time[-1])
        absences = absences.between(newest - keep * Timeframe.parse(update.timeframe).milliseconds, newest)
    return Stored(after, now_ms, "", stored.revisions + revised, absences), result


def _counted(before: Candles, new: Candles) -> tuple[int, int]:
    """How many bars are new, and how many stored ones they change."""
    if not len(before) or not len(new) or new.open_time[0] > before.open_time[-1]:
        return len(new), 0
    _, mine, theirs = np.intersect1d(before.open_time, new.open_time, assume_unique=True, return_indices=True)
    differs = np.zeros(len(mine), np.bool_)
    for one, other in zip(before.columns[1:], new.columns[1:], strict=True):
        differs |= one[mine] != other[theirs]
    return len(new) - len(mine), int(np.count_nonzero(differs))
