"""Instruments: a symbol with the precision and the limits that its exchange asks for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal

from pipeline.domain.errors import UnknownSymbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What one symbol's exchange accepts.

    `symbol` is the exchange-neutral name (`BTC/USDT:USDT`), `market_id` the exchange's own (`BTCUSDT`).
    Prices are in the quote asset, quantities in the base asset.
    """

    symbol: str
    market_id: str
    base: str
    quote: str
    price_tick: Decimal
    qty_step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    active: bool = True

    def round_qty_down(self, qty: Decimal) -> Decimal:
        """The largest quantity on the step that is not above `qty`."""
        return _on_grid(qty, self.qty_step, ROUND_DOWN)

    def round_price_down(self, price: Decimal) -> Decimal:
        """The largest price on the tick that is not above `price` (the bound of a buy)."""
        return _on_grid(price, self.price_tick, ROUND_DOWN)

    def round_price_up(self, price: Decimal) -> Decimal:
        """The smallest price on the tick that is not below `price` (the bound of a sale)."""
        return _on_grid(price, self.price_tick, ROUND_UP)

    def round_price_nearest(self, price: Decimal) -> Decimal:
        """The nearest price on the tick; for levels that bound nothing."""
        return _on_grid(price, self.price_tick, ROUND_HALF_UP)


def _on_grid(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).to_integral_value(rounding=rounding) * step


@dataclass(frozen=True, slots=True)
class Instruments:
    """All instruments of one exchange, found by any usual spelling of the symbol."""

    by_symbol: Mapping[str, Instrument]

    @classmethod
    def of(cls, instruments: Iterable[Instrument]) -> Instruments:
        return cls({instrument.symbol: instrument for instrument in instruments})

    def find(self, name: str) -> Instrument:
        """The instrument called `name`: `BTC/USDT:USDT`, `BTC/USDT` or `BTCUSDT`, in any case.

        Raises: UnknownSymbol, with the nearest known spelling.
        """
        exact = self.by_symbol.get(name)
        if exact is not None:
            return exact
        wanted = plain(name)
        for instrument in self.by_symbol.values():
            if wanted in (plain(instrument.symbol), plain(instrument.market_id)):
                return instrument
        raise UnknownSymbol(name, self._nearest(wanted))

    def lacking(self, symbols: Iterable[str]) -> Sequence[str]:
        """Those of our symbols that are not among them, sorted."""
        return sorted(each for each in symbols if each not in self.by_symbol)

    def _nearest(self, wanted: str) -> str | None:
        known = {plain(instrument.symbol): instrument.symbol for instrument in self.by_symbol.values()}
        close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
        return known[close[0]] if close else None


def plain(name: str) -> str:
    """A symbol without separators and settlement: `btc/usdt:usdt` → `BTCUSDT`."""
    return name.strip().upper().split(":")[0].replace("/", "").replace("-", "").replace("_", "")
