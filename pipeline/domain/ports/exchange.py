"""The exchange, its public side and its private one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pipeline.domain.ids import ClientOrderId
from pipeline.domain.instruments import Instruments
from pipeline.domain.orders import Answer, ListedOrder, Order, OrderReport, Trade
from pipeline.domain.permits import Permit
from pipeline.domain.positions import Equity, Holding, Income


class Quote(Protocol):
    """Best bid and ask in quote currency, with the exchange's time."""

    @property
    def bid(self) -> Decimal: ...
    @property
    def ask(self) -> Decimal: ...
    @property
    def occurred_at(self) -> datetime: ...


class MarketData(Protocol):
    """The exchange's public side. All raise ExchangeUnavailable or ExchangeRefused."""

    def instruments(self) -> Instruments:
        """Every active or inactive instrument; cached by the adapter for a while."""

    def known_instruments(self) -> Instruments:
        """The same, however old: what protects a position, or ends it, does not wait for a new list."""

    def now(self) -> datetime:
        """The exchange's clock, by the offset last measured."""

    def bars(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Sequence[Sequence[float]]:
        """Rows of [open time in ms, open, high, low, close, volume], as the exchange sent them: unchecked,
        the last may still be forming.
        """

    def quote(self, symbol: str) -> Quote:
        """The best bid and ask right now."""


class Venue(Protocol):
    """The exchange's private side: only `pipeline.execution` and the upkeep of equity hold one."""

    @property
    def name(self) -> str:
        """The exchange's name in fills (`binanceusdm`)."""

    @property
    def account(self) -> str:
        """Whose money it moves."""

    def submit(self, order: Order, permit: Permit) -> Answer:
        """One request, never repeated, signed with `order.sent_at`. Raises nothing: what is not a listed answer
        is `Unknown`.
        """

    def find(self, order: Order) -> OrderReport | None:
        """Ask by client order id. None when the exchange says it does not know it. Raises: ExchangeUnavailable,
        ExchangeRefused.
        """

    def listed(self, order: Order, since: datetime) -> OrderReport | None:
        """Search open orders and the order history since then for the client order id; None when absent from both.
        This history, and the others below, reach no further back than the exchange lets one question: a week.
        """

    def trades(self, order: Order) -> Sequence[Trade]:
        """All trades of an order that has an `exchange_order_id`, oldest first."""

    def trades_since(self, symbol: str, since: datetime) -> Sequence[Trade]:
        """The account's trades on a symbol since then: the last place where a lost order could show."""

    def open_orders(self) -> Sequence[ListedOrder]:
        """Every order that is open on the account, whoever placed it: also those that wait for a trigger price."""

    def orders_since(self, symbol: str, since: datetime) -> Sequence[ListedOrder]:
        """Every order of the account on a symbol since then, whoever placed it. One that waited for its price is
        told with what became of it, once.
        """

    def waiting(self, symbols: Collection[str]) -> frozenset[ClientOrderId]:
        """The account's orders on these symbols that wait for their trigger price now, by client order id. A symbol
        that is not listed any more may be left out: to ask about an order on it says so.

        Raises: ExchangeUnavailable, ExchangeRefused.
        """

    def cancel(self, order: Order) -> bool:
        """Ask for its cancellation. Whether the exchange says that this ended it; it being gone already is no error."""

    def dead_man(self, symbol: str, after_s: float) -> None:
        """From now on the exchange itself cancels our open orders of the symbol (not the conditional ones, which
        protect positions) unless this is called again within that time; 0 takes it back.
        """

    def equity(self) -> Equity: ...

    def incomes(self, since: datetime) -> Sequence[Income]:
        """Every change of the account's wallet since then, oldest first, as far as the exchange tells: funding, fees,
        realised profit, transfers.
        """

    def holdings(self) -> Sequence[Holding]:
        """Positions that are not zero."""
