"""Candles as numpy columns: what strategies read and what the store keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Closed bars of one symbol and timeframe, oldest first.

    Shape:  every column (n,).
    Dtype:  `open_time` int64, milliseconds since the epoch in UTC, on the timeframe's grid, strictly rising;
            `open, high, low, close` float64 in the quote asset; `volume` float64 in the base asset.
    The arrays are read-only: a strategy that wants to change one copies it.
    """

    open_time: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        for column in self.columns:
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.open_time)

    @property
    def columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        return (self.open_time, self.open, self.high, self.low, self.close, self.volume)

    def tail(self, count: int) -> Candles:
        """The newest `count` bars, as views."""
        return self.cut(max(0, len(self) - count), len(self))

    def cut(self, start: int, stop: int) -> Candles:
        """Bars `start` up to, not including, `stop`, as views."""
        if start == 0 and stop == len(self):
            return self
        return Candles(
            self.open_time[start:stop],
            self.open[start:stop],
            self.high[start:stop],
            self.low[start:stop],
            self.close[start:stop],
            self.volume[start:stop],
        )

    def opened_at(self, index: int) -> datetime:
        """The opening time of one bar."""
        return datetime.fromtimestamp(int(self.open_time[index]) / 1000, UTC)

    @classmethod
    def from_rows(cls, rows: npt.NDArray[np.float64]) -> Candles:
        """From an array (n, 6) of time in ms, open, high, low, close, volume. Copies into columns."""
        table = np.ascontiguousarray(rows.T)
        return cls(table[0].astype(np.int64), table[1], table[2], table[3], table[4], table[5])

    @classmethod
    def none(cls) -> Candles:
        """No bars at all."""
        return cls.from_rows(np.empty((0, 6)))
