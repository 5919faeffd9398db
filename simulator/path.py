"""How the price walks inside one bar: open, one extreme, the other, close, in straight lines.

The walk is a function of the bar alone, so the forming candle, the last price and the order matching always
agree, and the closed candle has exactly the high and low that were seen on the way.
"""

from __future__ import annotations

from itertools import pairwise

from simulator.bars import Bar

Point = tuple[int, float]  # milliseconds since 1970, price in ticks


def corners(bar: Bar, interval_ms: int) -> tuple[Point, Point, Point, Point]:
    """The four corner points of the walk through a bar.

    A rising bar visits its low first, a falling one its high, as most bars with a tail do.
    """
    first, second = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    jitter = (bar.open_ms // 1000 * 2654435761 + bar.close * 40503) & 0xFFFF
    early = bar.open_ms + int(interval_ms * (0.15 + 0.25 * (jitter & 0xFF) / 255))
    late = bar.open_ms + int(interval_ms * (0.55 + 0.30 * (jitter >> 8) / 255))
    end = bar.open_ms + interval_ms - 1
    return (bar.open_ms, bar.open), (early, first), (late, second), (end, bar.close)


def price_at(bar: Bar, interval_ms: int, at_ms: int) -> float:
    """The price in ticks at a moment inside the bar."""
    points = corners(bar, interval_ms)
    for (start, before), (end, after) in pairwise(points):
        if at_ms < end:
            return before + (after - before) * (at_ms - start) / (end - start)
    return bar.close


def walked(bar: Bar, interval_ms: int, at_ms: int) -> Bar:
    """The bar as it looks at a moment inside it: forming, with the extremes visited so far."""
    price = round(price_at(bar, interval_ms, at_ms))
    seen = [round(point) for moment, point in corners(bar, interval_ms) if moment <= at_ms]
    seen.append(price)
    share = min(1.0, max(0.0, (at_ms - bar.open_ms + 1) / interval_ms))
    return Bar(bar.open_ms, bar.open, max(seen), min(seen), price, bar.volume * share)


def stretch(bar: Bar, interval_ms: int, after_ms: int, until_ms: int) -> list[Point]:
    """The corner points passed in (after, until], and the price reached at the end of that stretch."""
    end = min(until_ms, bar.open_ms + interval_ms - 1)
    points = [point for point in corners(bar, interval_ms) if after_ms < point[0] <= end]
    points.append((end, price_at(bar, interval_ms, end)))
    return points
