"""Funding of perpetuals: three times a day longs pay shorts, or shorts pay longs.

Source: Binance, "Introduction to Binance Futures Funding Rates": funding = position's notional at the mark price times
the rate; a positive rate is paid by longs. The rates here are invented, and the same whenever they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from simulator.clock import HOUR_MS
from simulator.instruments import stable_hash

INTERVAL_MS = 8 * HOUR_MS
USUAL = Decimal("0.0001")
STEPS = 3001
STEP = Decimal("0.0000001")


def rate(symbol: str, at_ms: int) -> Decimal:
    """What applies at a funding time: between -0.005 % and 0.025 %, mostly paid by longs."""
    place = stable_hash("funding", symbol, at_ms // INTERVAL_MS) % STEPS
    return USUAL + (place - STEPS // 2) * STEP


def next_time(now_ms: int) -> int:
    """The first funding time after that moment: 00:00, 08:00 or 16:00 UTC."""
    return (now_ms // INTERVAL_MS + 1) * INTERVAL_MS


def times(after_ms: int, until_ms: int) -> Iterator[int]:
    """The funding times that lie after one moment, up to another and with it."""
    return iter(range(next_time(after_ms), until_ms + 1, INTERVAL_MS))


def payment(qty: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """What the wallet gains; negative when it pays. `qty` is signed. Unit: USDT."""
    return -qty * mark * rate
