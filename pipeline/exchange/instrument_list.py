"""What the exchange lists: asked for once in a while, and kept when it cannot be had anew."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable
from pipeline.domain.instruments import Instruments
from pipeline.exchange import reading
from pipeline.exchange.answers import reading_error
from pipeline.exchange.tables import Table
from pipeline.exchange.wire import Wire

UNLISTED_AGAIN_S = 30.0
"""A symbol that the list lacks may be a new one: for its sake the list is asked for no more often than this."""


class InstrumentList:
    """Fresh for `max_age_s` after it was asked for."""

    def __init__(self, wire: Wire, table: Table, max_age_s: float) -> None:
        self._wire, self._table, self._max_age_s = wire, table, max_age_s
        self._instruments: Instruments | None = None
        self.symbols: Mapping[str, str] = {}
        """Our names by the exchange's ids, for reading what it tells."""
        self._loaded_at = 0.0

    def fresh(self) -> Instruments:
        """For whoever takes a new risk. Raises: ExchangeUnavailable, ExchangeRefused."""
        is_old = time.monotonic() - self._loaded_at > self._max_age_s
        return self._load() if is_old else self.known()

    def naming(self, symbols: Iterable[str]) -> Instruments:
        """As `fresh`, and newer where it lacks one of them: another process may have a newer list than ours."""
        found = self.fresh()
        if found.lacking(symbols) and time.monotonic() - self._loaded_at > UNLISTED_AGAIN_S:
            found = self._load()
        return found

    def known(self) -> Instruments:
        """However old; asked for only when there is none. Raises: ExchangeUnavailable, ExchangeRefused."""
        return self._load() if self._instruments is None else self._instruments

    def market_id(self, symbol: str) -> str:
        """The exchange's id; it never changes, so an old list serves. Raises: UnknownSymbol, and as `known` does."""
        return self.known().find(symbol).market_id

    def renew(self) -> None:
        """Have the newest list that there is, for the names in it: no answer is lost because a new one cannot be had.

        Raises: ExchangeUnavailable, ExchangeRefused when there never was one.
        """
        self.known()
        with suppress(ExchangeUnavailable, ExchangeRefused):
            self.fresh()

    def _load(self) -> Instruments:
        markets = self._wire.fetch_markets()
        if not isinstance(markets, list):
            raise reading_error(self._table, markets, "instruments")
        found = reading.instruments(markets)
        if not found:
            raise ExchangeUnavailable("instruments: the exchange listed none that can be read")
        self._instruments = Instruments.of(found)
        self.symbols = {instrument.market_id: instrument.symbol for instrument in found}
        self._loaded_at = time.monotonic()
        return self._instruments
