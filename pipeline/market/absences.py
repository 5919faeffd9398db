"""Bars that the exchange itself does not have: said so, never invented, and asked for again now and then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.strategies.candles import Times

Table = npt.NDArray[np.int64]

OFTEN = 24
"""So often a bar is asked for every `OFTEN_MS`: an answer may have lacked it by mistake. Then every `RARELY_MS`."""
OFTEN_MS = 5_000
RARELY_MS = 600_000


@dataclass(frozen=True, slots=True, eq=False)
class Absences:
    """What the exchange answered without, although it has later bars.

    Shape:  `table` (m, 3), rising by its first column.
    Dtype:  int64: opening time in ms, when it was last asked for in ms, how many times it was asked for.
    """

    table: Table

    def __len__(self) -> int:
        return len(self.table)

    @property
    def times(self) -> Times:
        times: Times = self.table[:, 0]
        return times

    def resting(self, now_ms: int) -> Times:
        """The opening times that need not be asked for again yet."""
        pause = np.where(self.table[:, 2] < OFTEN, OFTEN_MS, RARELY_MS)
        resting: Times = self.table[self.table[:, 1] + pause > now_ms, 0]
        return resting

    def between(self, first_ms: int, last_ms: int) -> Absences:
        """Those that open from `first_ms` up to and including `last_ms`."""
        if not len(self):
            return self
        return Absences(self.table[(self.times >= first_ms) & (self.times <= last_ms)])

    def after(self, missing: Iterable[int], present: Times, now_ms: int) -> Absences:
        """As it stands when `missing` were asked for in vain at `now_ms`, and `present` are there."""
        missing = tuple(missing)
        if not missing and not len(self):
            return self
        rows = {int(row[0]): (int(row[1]), int(row[2])) for row in self.table}
        for time in missing:
            rows[time] = (now_ms, rows.get(time, (0, 0))[1] + 1)
        for time in present.tolist():
            rows.pop(time, None)
        return Absences(
            np.array([(time, *rows[time]) for time in sorted(rows)], np.int64).reshape(len(rows), 3)
        )

    @property
    def described(self) -> str:
        """`the exchange has no bar of 2026-03-01 12:30 (asked 3 times)`; empty when there is none."""
        if not len(self):
            return ""
        first = np.datetime64(int(self.times[0]), "ms").astype("datetime64[m]").item()
        others = f" and {len(self) - 1} more" if len(self) > 1 else ""
        asked = int(self.table[0, 2])
        return f"the exchange has no bar of {first:%Y-%m-%d %H:%M}{others} (asked {asked} times)"


NONE = Absences(np.empty((0, 3), np.int64))
