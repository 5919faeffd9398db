"""What the ledger keeps of permits, orders, fills, positions, entries and equity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pipeline.domain.entries import Balance, Transaction
from pipeline.domain.ids import ClientOrderId, DecisionId, PermitId
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Brief, Fill, Order, OrderReport, OrderState
from pipeline.domain.permits import Permit
from pipeline.domain.positions import Equity, Position


class Permits(Protocol):
    def lock_budget(self, account: str) -> None:
        """Until this unit ends, no other unit can reserve for the account: limits hold under concurrency."""

    def add(self, permit: Permit) -> bool:
        """Insert once. False when (decision, leg) has a permit already."""

    def of(self, decision_id: DecisionId, leg: Leg | None = None) -> Permit | None:
        """The permit of that leg, or the first one issued. It comes without its verdicts: `Verdicts.checks_of`."""

    def use(self, permit_id: PermitId, at: datetime) -> bool:
        """Compare-and-set from `issued` to `used`, only while `at` is before its expiry."""

    def release(self, permit_id: PermitId) -> bool:
        """Compare-and-set from `issued` to `released`."""

    def reserving(self, account: str, now: datetime) -> Sequence[Permit]:
        """Issued, unexpired, unused permits, without verdicts and limits: their `reserved` counts against what is
        allowed.
        """


class Orders(Protocol):
    def add(self, order: Order) -> bool:
        """Insert once. False when its client order id, or its (decision, leg, attempt), exists."""

    def get(self, client_order_id: ClientOrderId) -> Order | None: ...

    def of(self, decision_id: DecisionId) -> Sequence[Order]:
        """By leg and attempt."""

    def of_exits(self, opener: DecisionId) -> Sequence[Order]:
        """Orders of the exits of the position that `opener` opened, the oldest first."""

    def step(
        self,
        order: Order,
        to: OrderState,
        at: datetime,
        *,
        fence: str | None = None,
        sent_at: datetime | None = None,
        report: OrderReport | None = None,
        detail: str = "",
    ) -> Order | None:
        """Compare-and-set from `order.state` (and `order.fence`) to `to`, and record the step.

        Returns the order as it stands now, or None when somebody else moved it first.
        Raises: InvariantBroken when the table of steps does not allow it.
        """

    def note_miss(self, client_order_id: ClientOrderId, at: datetime) -> Order:
        """The exchange answered "not found" once more: counts it, with the time of the first and last."""

    def unsettled(self, account: str, symbol: str | None = None) -> Sequence[Order]:
        """Orders that are not final: INTENT, SENDING, UNKNOWN, ACKED, PARTIALLY_FILLED."""

    def under_way(self, account: str, symbol: str | None = None) -> Sequence[Order]:
        """The unsettled ones but those that wait: each position has two of them, for as long as it is held."""

    def briefs(self, account: str) -> Sequence[Brief]:
        """Every unsettled order in brief."""

    def recent(self, account: str, symbol: str, since: datetime) -> Sequence[Order]:
        """Orders created since then, newest first."""

    def latest(
        self, *, symbol: str | None = None, state: str | None = None, mode: str | None = None, limit: int = 50
    ) -> Sequence[Order]: ...

    def steps_of(self, client_order_id: ClientOrderId) -> Sequence[Mapping[str, object]]:
        """Each step as `{from, to, at, detail}`, oldest first."""


class Fills(Protocol):
    def add(self, fill: Fill) -> bool:
        """Insert once by (exchange, symbol, trade_id). False when it was known."""

    def of(self, decision_id: DecisionId) -> Sequence[Fill]: ...

    def of_order(self, client_order_id: ClientOrderId) -> Sequence[Fill]: ...

    def trade_ids(self, account: str, symbol: str, since: datetime) -> frozenset[str]:
        """The exchange's numbers of the trades on a symbol that happened since then, as far as they are booked."""


class Positions(Protocol):
    def lock_symbol(self, account: str, symbol: str) -> None:
        """Until this unit ends, no other unit can book on the symbol, whether it has a position or not. The first lock
        of a unit: whoever waits for it holds nothing.
        """

    def open_of(self, account: str, symbol: str) -> Position | None: ...

    def all_open(self, account: str | None = None) -> Sequence[Position]: ...

    def unprotected(self, account: str) -> Mapping[str, datetime]:
        """Symbols with an open position and no stop that waits, and since when it is open."""

    def save(self, position: Position) -> None:
        """Insert, or replace by `position_id` while it is open. At most one open position for each account and symbol.
        Raises: InvariantBroken when the position was closed: what it earned or lost stays.
        """

    def get(self, position_id: str) -> Position | None: ...

    def lock(self, position_id: str) -> Position | None:
        """The position, kept as it is until the transaction ends."""

    def touched_by(self, decision_id: DecisionId) -> Sequence[Position]:
        """Those that the decision opened or closed."""

    def latest(
        self,
        *,
        account: str | None = None,
        symbol: str | None = None,
        mode: str | None = None,
        limit: int = 50,
    ) -> Sequence[Position]:
        """Newest first, open ones before closed ones."""


class EquityCurve(Protocol):
    def add(self, equity: Equity) -> None: ...

    def latest(self, account: str) -> Equity | None: ...


class Journal(Protocol):
    """The books. Entries only grow; a balance is always their sum."""

    def post(self, transaction: Transaction) -> bool:
        """Book it once. False when it is in the books, or has no entries."""

    def balance(self, account: str, asset: str) -> Balance:
        """What an account's entries in an asset add up to; nothing at all when there are none."""

    def balances(self, account: str) -> Sequence[Balance]:
        """One for each asset."""

    def get(self, transaction_id: str) -> Transaction | None: ...

    def unbooked(self, account: str) -> Sequence[Position]:
        """Open positions that no entry names: they are older than the books."""

    def latest(self, account: str, limit: int) -> Sequence[Transaction]:
        """Newest first; `limit` counts entries."""

    def problems(self, account: str) -> Sequence[str]:
        """What does not add up, by name. Reads every entry of the account."""
