"""The dead-man switch: the exchange itself cancels entries that rest when all of us are gone.

It runs for each symbol and only while an entry rests there: the router sets it before it sends one and takes it
back afterwards; this keeps it from firing meanwhile. What protects positions is out of its reach: stops and
targets are conditional orders, which the exchange keeps in a service of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, UnknownSymbol
from pipeline.domain.ports import Clock, Ledger, Venue
from pipeline.execution.attempts import rests


@dataclass(frozen=True, slots=True)
class DeadMan:
    """One account's switches, as this process has renewed them. Two processes that tend do no harm."""

    ledger: Ledger
    venue: Venue
    clock: Clock
    account: str
    after_s: float
    _renewed: dict[str, datetime] = field(default_factory=dict)

    def tend(self) -> None:
        """Renew it where an entry rests, when a third of its time is over; take it back where none does any more.

        Raises: ExchangeUnavailable, ExchangeRefused, UnknownSymbol once every symbol was seen to; LedgerUnavailable.
        """
        resting = self._resting()
        trouble: list[Exception] = []
        for symbol in sorted(resting | self._renewed.keys()):
            see_to = self._renew if symbol in resting else self._take_back
            try:
                see_to(symbol)
            except (ExchangeUnavailable, ExchangeRefused, UnknownSymbol) as error:
                trouble.append(error)
        if trouble:
            raise trouble[0]

    def _renew(self, symbol: str) -> None:
        now, last = self.clock.now(), self._renewed.get(symbol)
        if last is None or now - last >= timedelta(seconds=self.after_s / 3):
            self.venue.dead_man(symbol, self.after_s)
            self._renewed[symbol] = now

    def _take_back(self, symbol: str) -> None:
        self.venue.dead_man(symbol, 0)
        del self._renewed[symbol]

    def _resting(self) -> frozenset[str]:
        with self.ledger.read() as unit:
            unsettled = unit.orders.unsettled(self.account)
        return frozenset(
            order.symbol
            for order in unsettled
            if rests(order) and not order.reduce_only and order.state.may_be_on_exchange
        )
