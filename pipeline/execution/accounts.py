"""The account as the exchange tells it: its equity, and whether its positions are ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pipeline.domain.events import EventName, Events
from pipeline.domain.orders import Order
from pipeline.domain.ports import Ledger, Unit, Venue
from pipeline.domain.positions import Equity

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Difference:
    """One symbol on which the ledger and the exchange disagree; quantities are signed."""

    symbol: str
    ours: Decimal
    theirs: Decimal

    @property
    def missing(self) -> Decimal:
        """What the ledger would have to gain to agree; negative when it holds too much."""
        return self.theirs - self.ours

    @property
    def told(self) -> str:
        """In words, without the symbol."""
        return f"the ledger holds {self.ours}, the exchange {self.theirs}"


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
    """Every symbol on which the two disagree, by name. A symbol on which something moves meanwhile (an order
    in flight, a fill being booked) is left for the next comparison: its own rule keeps it closed.

    Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
    """
    before, theirs, after = _book(ledger, account), _held(venue), _book(ledger, account)
    symbols = sorted({*before.held, *after.held, *theirs} - before.moving - after.moving)
    pairs = [(each, after.held.get(each, ZERO), theirs.get(each, ZERO)) for each in symbols]
    return [
        Difference(symbol, mine, told)
        for symbol, mine, told in pairs
        if mine != told and before.held.get(symbol, ZERO) == mine
    ]


def filled_unbooked(
    ledger: Ledger, venue: Venue, account: str, is_left: Callable[[datetime], bool]
) -> Mapping[str, Sequence[Order]]:
    """By symbol, the orders of open fate where the exchange holds another quantity than the ledger: one of them has
    filled, and nobody has booked it yet. The exchange is asked once, and not at all while no order is under way but
    those that are left to their sender, by the time at which they were sent. Not stops and targets either: whoever
    protects their position asks about them.

    Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
    """
    with ledger.read() as unit:
        sent = [each for each in _sent(unit, account) if not each.type.waits]
    orders = [each for each in sent if each.sent_at is None or not is_left(each.sent_at)]
    if not orders:
        return {}
    theirs = _held(venue)
    with ledger.read() as unit:
        found = [unit.positions.open_of(account, symbol) for symbol in {each.symbol for each in orders}]
    ours = {position.symbol: position.signed_qty for position in found if position is not None}
    by_symbol: dict[str, list[Order]] = defaultdict(list)
    for each in orders:
        if theirs.get(each.symbol, ZERO) != ours.get(each.symbol, ZERO):
            by_symbol[each.symbol].append(each)
    return by_symbol


@dataclass(frozen=True, slots=True)
class _Book:
    """Signed quantities by symbol, and the orders whose fate is open."""

    held: Mapping[str, Decimal]
    under_way: Sequence[Order]

    @property
    def moving(self) -> frozenset[str]:
        return frozenset(each.symbol for each in self.under_way)


def _book(ledger: Ledger, account: str) -> _Book:
    with ledger.read() as unit:
        held = {position.symbol: position.signed_qty for position in unit.positions.all_open(account)}
        return _Book(held, _sent(unit, account))


def _sent(unit: Unit, account: str) -> Sequence[Order]:
    """Orders that may be on the exchange, and do not wait there."""
    return [each for each in unit.orders.under_way(account) if each.state.may_be_on_exchange]


def _held(venue: Venue) -> Mapping[str, Decimal]:
    theirs: dict[str, Decimal] = {}
    for holding in venue.holdings():
        theirs[holding.symbol] = theirs.get(holding.symbol, ZERO) + holding.qty
    return theirs
