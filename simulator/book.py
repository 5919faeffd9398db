"""Bids and asks around the last price: a small spread, finite depth, equal for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from simulator.instruments import Instrument, round_down, stable_hash

LEVELS = 20
SPREAD = 0.0001
GAP = 0.00005
REFRESH_MS = 1000


@dataclass(frozen=True, slots=True)
class Level:
    """What rests at one price."""

    price: Decimal
    qty: Decimal


class Book:
    """One side or the other of the market in one symbol at one moment.

    The depth is not used up: it is there again for the next order.
    """

    def __init__(self, instrument: Instrument, last_ticks: int, now_ms: int) -> None:
        self._instrument = instrument
        self._spread = max(1, round(last_ticks * SPREAD))
        self._gap = max(1, round(last_ticks * GAP))
        self.bid_ticks = max(1, last_ticks - self._spread // 2)
        self.ask_ticks = self.bid_ticks + self._spread
        self._noise = stable_hash(instrument.symbol, now_ms // REFRESH_MS)

    @property
    def bid(self) -> Decimal:
        return self._instrument.price(self.bid_ticks)

    @property
    def ask(self) -> Decimal:
        return self._instrument.price(self.ask_ticks)

    def against(self, side: str) -> Iterator[Level]:
        """The levels that an order of this side would meet, best first."""
        return self.levels("SELL" if side == "BUY" else "BUY")

    def levels(self, side: str, count: int = LEVELS) -> Iterator[Level]:
        """Resting orders of one side, best first."""
        step = -self._gap if side == "BUY" else self._gap
        best = self.bid_ticks if side == "BUY" else self.ask_ticks
        for number in range(count):
            ticks = best + number * step
            if ticks < 1:
                return
            yield Level(self._instrument.price(ticks), self._qty(ticks, number))

    def _qty(self, ticks: int, number: int) -> Decimal:
        noise = ((self._noise >> (number * 3)) & 0xFF) / 255
        value = self._instrument.depth_usdt * (0.6 + 0.8 * noise) * (1 + 0.25 * number)
        qty = Decimal(value / (ticks * float(self._instrument.tick)))
        return max(self._instrument.step, round_down(qty, self._instrument.step))


def take(levels: Iterator[Level], side: str, qty: Decimal, limit: Decimal | None) -> list[Level]:
    """What an order gets from the levels at `limit` or better: one piece for each level it touches."""
    taken: list[Level] = []
    for level in levels:
        if qty <= 0 or (limit is not None and not reaches(side, limit, level.price)):
            break
        piece = min(qty, level.qty)
        taken.append(Level(level.price, piece))
        qty -= piece
    return taken


def reaches(side: str, limit: Decimal, price: Decimal) -> bool:
    """Whether an order of that side and limit may trade at this price."""
    return price <= limit if side == "BUY" else price >= limit
