"""Both ports in one: a real exchange's public side, and the paper broker in place of its private one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.domain.instruments import Instruments
from pipeline.domain.ports import Clock, Quote
from pipeline.exchange.ccxt_adapter import CcxtExchange
from pipeline.exchange.paper.broker import PaperBroker
from pipeline.exchange.paper.store import PaperStore
from pipeline.exchange.paper.terms import PaperTerms


class PaperExchange(PaperBroker):
    """What the rest of the pipeline takes for an exchange. Its fills carry the name `<exchange>-broker`."""

    def __init__(
        self, exchange_id: str, public: CcxtExchange, store: PaperStore, terms: PaperTerms, clock: Clock
    ) -> None:
        super().__init__(f"{exchange_id}-broker", public, store, terms, clock)
        self._public = public

    def instruments(self) -> Instruments:
        return self._public.instruments()

    def instruments_naming(self, symbols: Iterable[str]) -> Instruments:
        return self._public.instruments_naming(symbols)

    def known_instruments(self) -> Instruments:
        return self._public.known_instruments()

    def now(self) -> datetime:
        return self._public.now()

    def clock_offset(self) -> timedelta:
        return self._public.clock_offset()

    def bars(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Sequence[Sequence[float]]:
        return self._public.bars(symbol, timeframe, since, limit)

    def quote(self, symbol: str) -> Quote:
        return self._public.quote(symbol)

    def quotes(self) -> Mapping[str, Quote]:
        return self._public.quotes()

    def volumes(self) -> Mapping[str, Decimal]:
        return self._public.volumes()
