"""Prices for many decisions at once: at the close of a candle one question answers for all symbols."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
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
    """A market whose quotes are shared while many are asked for: then one may be `shared_for_s` old, beyond the
    age that it tells itself. Whoever asks now and then gets a fresh one each time. Fulfils `ports.MarketData`.
    """

    def __init__(
        self, market: Quoting, shared_for_s: float, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._market, self._shared_for_s, self._seconds = market, shared_for_s, seconds
        self._asked: deque[float] = deque(maxlen=FEW)
        self._all: Mapping[str, Quote] = {}
        self._all_at = float("-inf")

    def quote(self, symbol: str) -> Quote:
        """Raises: ExchangeUnavailable, ExchangeRefused, UnknownSymbol."""
        found = self._shared().get(symbol) if self._many_ask() else None
        return found or self._market.quote(symbol)

    def _many_ask(self) -> bool:
        now = self._seconds()
        self._asked.append(now)
        return len(self._asked) == FEW and now - self._asked[0] <= self._shared_for_s

    def _shared(self) -> Mapping[str, Quote]:
        now = self._seconds()
        if now - self._all_at > self._shared_for_s:
            self._all, self._all_at = self._market.quotes(), now
        return self._all

    def instruments(self) -> Instruments:
        return self._market.instruments()

    def now(self) -> datetime:
        return self._market.now()

    def bars(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Sequence[Sequence[float]]:
        return self._market.bars(symbol, timeframe, since, limit)
