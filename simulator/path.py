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


class Walk:
    """The way through one bar; its corners are worked out once."""

    __slots__ = ("bar", "corners", "end_ms", "interval_ms")

    def __init__(self, bar: Bar, interval_ms: int) -> None:
        self.bar = bar
        self.interval_ms = interval_ms
        self.corners = corners(bar, interval_ms)
        self.end_ms = bar.open_ms + interval_ms - 1

    def covers(self, at_ms: int) -> bool:
        """Whether this moment lies inside the bar."""
        return self.bar.open_ms <= at_ms <= self.end_ms

    def price_at(self, at_ms: int) -> float:
        """The price in ticks at a moment inside the bar."""
        start, before = self.corners[0]
        for end, after in self.corners[1:]:
            if at_ms < end:
                return before + (after - before) * (at_ms - start) / (end - start)
            start, before = end, after
        return before

    def so_far(self, at_ms: int) -> Bar:
        """The bar as it looks at a moment inside it: forming, with the extremes visited so far."""
        bar, price = self.bar, round(self.price_at(at_ms))
        seen = [round(point) for moment, point in self.corners if moment <= at_ms]
        seen.append(price)
        share = min(1.0, max(0.0, (at_ms - bar.open_ms + 1) / self.interval_ms))
        return Bar(bar.open_ms, bar.open, max(seen), min(seen), price, bar.volume * share)

    def stretch(self, after_ms: int, until_ms: int) -> list[Point]:
        """The corner points passed in (after, until], and the price reached at the end of that stretch."""
        end = min(until_ms, self.end_ms)
        points = [point for point in self.corners if after_ms < point[0] <= end]
        points.append((end, self.price_at(end)))
        return points

    def stays_within(self, after_ms: int, low: float, high: float) -> int:
        """A moment before which the price touches neither bound, seen from `after_ms` on; the next bar's open if it
        touches none in this one. Bounds in ticks; a price beyond one already says the next millisecond.
        """
        way = [(after_ms, self.price_at(after_ms)), *(each for each in self.corners if each[0] > after_ms)]
        for (start, before), (end, after) in pairwise(way):
            if not low < before < high:
                return max(start, after_ms + 1)
            if not low < after < high:
                bound = high if after > before else low
                return max(start + int((end - start) * (bound - before) / (after - before)), after_ms + 1)
        return self.end_ms + 1
