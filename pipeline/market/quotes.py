"""Prices for many decisions at once: at the close of a candle one question answers for all symbols."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.domain.instruments import Instruments
from pipeline.domain.ports import MarketData, Quote

FEW = 3
"""So many questions about one symbol each weigh more on the exchange's limits than one about all of them."""


class Quoting(MarketData, Protocol):
    """A market that tells the prices of all symbols at once as well."""

    def quotes(self) -> Mapping[str, Quote]:
        """The best bid and ask of every symbol that has both."""


class SharedQuotes:
    """A market whose quotes are shared while many are asked for: then one may be as old as `shared_for`, beyond the
    age that it tells itself. Whoever asks now and then gets a fresh one each time. Fulfils `ports.MarketData`.

    All times are the exchange's: a simulated one may run faster than ours, and recorded prices jump with it.
    """

    def __init__(self, market: Quoting, shared_for: timedelta) -> None:
        self._market, self._shared_for = market, shared_for
        self._asked: deque[datetime] = deque(maxlen=FEW)
        self._all: Mapping[str, Quote] = {}
        self._all_at: datetime | None = None

    def quote(self, symbol: str) -> Quote:
        """Raises: ExchangeUnavailable, ExchangeRefused, UnknownSymbol."""
        now = self._market.now()
        found = self._shared(now).get(symbol) if self._many_ask(now) else None
        return found or self._market.quote(symbol)

    def _many_ask(self, now: datetime) -> bool:
        self._asked.append(now)
        return len(self._asked) == FEW and self._is_recent(self._asked[0], now)

    def _shared(self, now: datetime) -> Mapping[str, Quote]:
        if self._all_at is None or not self._is_recent(self._all_at, now):
            self._all, self._all_at = self._market.quotes(), now
        return self._all

    def _is_recent(self, at: datetime, now: datetime) -> bool:
        """A clock that was put back makes nothing young."""
        return timedelta(0) <= now - at <= self._shared_for

    def instruments(self) -> Instruments:
        return self._market.instruments()

    def known_instruments(self) -> Instruments:
        return self._market.known_instruments()

    def now(self) -> datetime:
        return self._market.now()

    def bars(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Sequence[Sequence[float]]:
        return self._market.bars(symbol, timeframe, since, limit)
