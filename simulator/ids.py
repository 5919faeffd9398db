"""Rising numbers for orders and trades."""

from __future__ import annotations

import itertools


class Ids:
    """Order, conditional order and trade numbers; each rises for the whole life of the simulator."""

    def __init__(self) -> None:
        self._orders = itertools.count(8_000_000_001)
        self._algos = itertools.count(2_000_000_001)
        self._trades = itertools.count(500_000_001)

    def order(self) -> int:
        return next(self._orders)

    def algo(self) -> int:
        return next(self._algos)

    def trade(self) -> int:
        return next(self._trades)
