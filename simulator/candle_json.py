"""Candles in Binance's array form, closed ones rendered once and remembered."""

from __future__ import annotations

from simulator.bars import Bar, Bars
from simulator.instruments import Instrument
from simulator.market import Candles

ROWS_KEPT = 3000


class CandleWriter:
    """Turns candles into JSON text.

    A closed candle never changes, so its text is kept: a request of 200 candles then costs one join.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], dict[int, bytes]] = {}

    def write(self, instrument: Instrument, interval_ms: int, candles: Candles) -> bytes:
        rows = self.rows(instrument, interval_ms, candles)
        return b"[" + b",".join(rows) + b"]"

    def rows(self, instrument: Instrument, interval_ms: int, candles: Candles) -> list[bytes]:
        """One JSON array for each candle, oldest first."""
        known = self._known(instrument.symbol, interval_ms)
        rows = [
            known.get(opened) or self._remember(known, instrument, interval_ms, candles.closed, index)
            for index, opened in enumerate(candles.closed.open_ms.tolist())
        ]
        if candles.forming is not None:
            rows.append(row(instrument, interval_ms, candles.forming))
        return rows

    def _known(self, symbol: str, interval_ms: int) -> dict[int, bytes]:
        known = self._rows.setdefault((symbol, interval_ms), {})
        if len(known) > ROWS_KEPT:
            known.clear()
        return known

    def _remember(
        self, known: dict[int, bytes], instrument: Instrument, interval_ms: int, bars: Bars, index: int
    ) -> bytes:
        bar = bars.bar(index)
        text = row(instrument, interval_ms, bar)
        known[bar.open_ms] = text
        return text


def row(instrument: Instrument, interval_ms: int, bar: Bar) -> bytes:
    """`[open time, "open", "high", "low", "close", "volume", close time, "turnover", trades, ...]`."""
    fields = figures(instrument, bar)
    return (
        f'[{bar.open_ms},"{fields["o"]}","{fields["h"]}","{fields["l"]}","{fields["c"]}","{fields["v"]}",'
        f'{bar.open_ms + interval_ms - 1},"{fields["q"]}",{fields["n"]},"{fields["V"]}","{fields["Q"]}","0"]'
    ).encode()


def figures(instrument: Instrument, bar: Bar) -> dict[str, str | int]:
    """The numbers of a candle under the letters that the streams use for them."""
    tick, places, steps = float(instrument.tick), instrument.price_digits, instrument.qty_digits
    turnover = bar.volume * bar.close * tick
    return {
        "o": f"{bar.open * tick:.{places}f}",
        "h": f"{bar.high * tick:.{places}f}",
        "l": f"{bar.low * tick:.{places}f}",
        "c": f"{bar.close * tick:.{places}f}",
        "v": f"{bar.volume:.{steps}f}",
        "q": f"{turnover:.5f}",
        "n": int(turnover / 500) + 1,
        "V": f"{bar.volume * 0.5:.{steps}f}",
        "Q": f"{turnover * 0.5:.5f}",
    }
