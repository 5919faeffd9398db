"""What the stages ask of the market's candles; `pipeline.market` fulfils it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pipeline.domain.timeframes import CandleRange
from pipeline.strategies.window import Lack, Window

__all__ = ["CandleWindows", "Lack", "Window"]


class CandleWindows(Protocol):
    """Closed bars of several timeframes. What cannot be had is in the window's ranges as a problem, by
    timeframe and cause; nothing about bars is raised.
    """

    def window(self, symbol: str, timeframes: Sequence[str], as_of: datetime, bars: int) -> Window:
        """The newest `bars` closed bars of each timeframe at `as_of`, which is the exchange's time."""

    def exact(self, symbol: str, ranges: Sequence[CandleRange]) -> Window:
        """Exactly the bars that an earlier stage saw, first to last of each range: from the store, or
        from the exchange again if the store has lost them. A range that had a problem keeps it.
        """
