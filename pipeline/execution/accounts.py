"""The account as the exchange tells it: its equity, and whether its positions are ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.domain.events import EventName, Events
from pipeline.domain.ports import Ledger, Venue
from pipeline.domain.positions import Equity


@dataclass(frozen=True, slots=True)
class Difference:
    """One symbol on which the ledger and the exchange disagree; quantities are signed."""

    symbol: str
    ours: Decimal
    theirs: Decimal

    def __str__(self) -> str:
        return f"{self.symbol}: the ledger holds {self.ours}, the exchange {self.theirs}"


def refresh_equity(ledger: Ledger, venue: Venue, events: Events) -> Equity:
    """Ask for the equity and store it. Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable."""
    equity = venue.equity()
    with ledger.begin() as unit:
        unit.equity.add(equity)
    events.emit(
        EventName.EQUITY,
        account=equity.account,
        equity=equity.equity,
        available=equity.available,
        unrealised_pnl=equity.unrealised_pnl,
    )
    return equity


def compare_positions(ledger: Ledger, venue: Venue, account: str) -> Sequence[Difference]:
    """Every symbol on which the two disagree, by name. Orders in flight can show as a difference for a
    moment.

    Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
    """
    theirs: dict[str, Decimal] = {}
    for holding in venue.holdings():
        theirs[holding.symbol] = theirs.get(holding.symbol, Decimal(0)) + holding.qty
    with ledger.read() as unit:
        ours = {position.symbol: position.signed_qty for position in unit.positions.all_open(account)}
    pairs = ((s, ours.get(s, Decimal(0)), theirs.get(s, Decimal(0))) for s in sorted({*ours, *theirs}))
    return [Difference(symbol, mine, told) for symbol, mine, told in pairs if mine != told]
