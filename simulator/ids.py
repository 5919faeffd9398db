"""Rising numbers for orders and trades, never given twice: not by a simulator that was started again either."""

from __future__ import annotations

import itertools
import time

PER_MS = 1000
"""Numbers for each millisecond since 1970: enough for any exchange, and still exact in JavaScript."""


class Ids:
    """Order, conditional order and trade numbers. They rise over all lives of the simulator on one machine: whoever
    keeps a ledger knows a trade by its number.
    """

    def __init__(self, started_ms: int | None = None) -> None:
        """`started_ms`: this life's start in real milliseconds since 1970; now, unless told."""
        first = (time.time_ns() // 1_000_000 if started_ms is None else started_ms) * PER_MS
        self._orders = itertools.count(first + 1)
        self._trades = itertools.count(first + 1)

    def order(self) -> int:
        return next(self._orders)

    def algo(self) -> int:
        """Out of the orders' numbers, so that a number names one thing."""
        return next(self._orders)

    def trade(self) -> int:
        return next(self._trades)
