"""Putting ledger and exchange in agreement: each difference is named, repaired by a rule, or escalated.

- An order is open on the exchange, and final in the ledger: written down as the exchange tells it; where the table of
  steps does not allow that, escalated.
- An order on the exchange that the ledger does not have: ours is adopted, a stranger's is left. A stop or target of
  ours whose decision is lost too is taken back once another one rests.
- A position differs, and trades of an order of ours are not booked: they are booked.
- A position differs otherwise: escalated, and nothing is opened until somebody has put it right.
- A stop or target that waits is asked about when the exchange does not list it among the open orders.
- The exchange calls an order done and never lists its trades: booked from the order, once the position proves it.
- The exchange does not know any more an order that it had acknowledged, or does not list its symbol: escalated.
- The wallet differs from the books: funding and transfers are booked as the exchange's statement tells them, what is
  left is escalated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, UnknownSymbol
from pipeline.domain.events import Events
from pipeline.domain.orders import ListedOrder, Order, OrderReport, OrderState, Trade
from pipeline.domain.ports import Clock, Ledger, Venue
from pipeline.domain.reconciliation import Finding, Remedy, Subject
from pipeline.execution.accounts import Difference, compare_positions
from pipeline.execution.adopting import Adoption
from pipeline.execution.balances import Wallets
from pipeline.execution.booking import Bookkeeper, unlisted_trade

WINDOWS = (timedelta(minutes=10), timedelta(hours=2), timedelta(hours=24))
"""How far back the trades behind a difference are looked for: further only when the nearer ones do not explain it."""
PATIENCE = timedelta(minutes=2)
"""How long an acknowledged order may stay without its trades before somebody looks into it."""

Told = TypeVar("Told", Order, ListedOrder)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """One account's comparison. Two at once do no harm: every change is a compare-and-set. `tolerance` is what of the
    wallet may stay unexplained, in the settlement asset.
    """

    ledger: Ledger
    venue: Venue
    clock: Clock
    events: Events
    account: str
    patience: timedelta = PATIENCE
    tolerance: Decimal = Decimal(0)

    @property
    def wallets(self) -> Wallets:
        return Wallets(self.ledger, self.venue, self.account, tolerance=self.tolerance)

    def run(self, *, thorough: bool = True) -> Sequence[Finding]:
        """Compare, repair what a rule repairs, and compare again. What blocks is at the end still different.

        `thorough` lists the open orders of all symbols as well, which costs as much as eight comparisons of positions.

        Raises: ExchangeUnavailable, ExchangeRefused once every symbol was looked at; LedgerUnavailable.
        """
        listed = self.venue.open_orders() if thorough else None
        found = [*self._open_orders(listed or ()), *self._orders_without_end(listed)]
        trouble: list[Exception] = []
        for difference in compare_positions(self.ledger, self.venue, self.account):
            try:
                found += self._explain(difference)
            except UnknownSymbol:
                continue  # no trades can be asked for: the difference is named below
            except (ExchangeUnavailable, ExchangeRefused) as error:
                trouble.append(error)
        if trouble:
            raise trouble[0]
        left = compare_positions(self.ledger, self.venue, self.account)
        found += [Finding(Subject.POSITION, each.symbol, each.told, Remedy.ESCALATED) for each in left]
        # With positions that differ the wallet must differ too, and says nothing new.
        return [*found, *(() if left else self.wallets.compare())]

    # ------------------------------------------------------------------------------------------------- orders

    def _open_orders(self, listed: Sequence[ListedOrder]) -> Iterator[Finding]:
        for told in listed:
            finding = _unless_unlisted(self._known_or_not, told)
            if finding is not None:
                yield finding

    def _known_or_not(self, told: ListedOrder) -> Finding | None:
        """What is wrong with an order that the exchange lists; None when nothing is."""
        with self.ledger.read() as unit:
            order = unit.orders.get(told.report.client_order_id)
        if order is None:
            return self._adoption().look_at(told, self.clock.now())
        if not order.state.is_final:
            return None
        now = self.venue.find(order)  # it may have ended since the list was made
        if now is None or now.state.is_final:
            return None
        after = self._books().settle(order, now)
        what = f"order {order.client_order_id} was {order.state} in the ledger and is open on the exchange"
        return Finding(
            Subject.ORDER, order.symbol, what, Remedy.ESCALATED if after.state.is_final else Remedy.SETTLED
        )

    def _orders_without_end(self, listed: Sequence[ListedOrder] | None) -> Iterator[Finding]:
        """Acknowledged orders that should be done long since: without their trades, or not known any more. A stop may
        wait for ever, as long as it is `listed` among those that are open; None: nobody has asked.
        """
        patient_since = self.clock.now() - self.patience
        with self.ledger.read() as unit:
            overdue = [
                each for each in unit.orders.unsettled(self.account) if _is_overdue(each, patient_since)
            ]
        there = None if listed is None else {each.client_order_id for each in listed}
        for order in overdue:
            if order.waits and (there is None or order.client_order_id in there):
                continue
            finding = _unless_unlisted(self._look_into, order)
            if finding is not None:
                yield finding

    def _look_into(self, order: Order) -> Finding | None:
        since = (order.sent_at or order.created_at) - WINDOWS[0]
        told = self.venue.find(order) or self.venue.listed(order, since)
        if told is None:
            what = f"the exchange acknowledged order {order.client_order_id} and does not know it any more"
            return Finding(Subject.ORDER, order.symbol, what, Remedy.ESCALATED)
        after = self._books().settle(order, told)
        if after.state.is_final or not told.state.is_final:
            return None
        return self._book_unlisted(after, told)

    def _book_unlisted(self, order: Order, told: OrderReport) -> Finding:
        """Book the trades that the exchange owes us from what it says about the order, if the position proves them."""
        with self.ledger.read() as unit:
            fills = unit.fills.of_order(order.client_order_id)
            position = unit.positions.open_of(order.account, order.symbol)
        missing = unlisted_trade(order, told, fills, self.clock.now())
        ours = position.signed_qty if position else Decimal(0)
        held = sum((each.qty for each in self.venue.holdings() if each.symbol == order.symbol), Decimal(0))
        owed = f"trades for {missing.qty} of order {order.client_order_id} are not listed"
        if held - ours != missing.qty * order.side.sign:
            what = (
                f"{owed}, and the position does not prove them: the ledger holds {ours}, the exchange {held}"
            )
            return Finding(Subject.FILL, order.symbol, what, Remedy.ESCALATED)
        self._books().settle(order, told, trades=[missing])
        what = f"{owed}: booked from the order itself, its fee unknown"
        return Finding(Subject.FILL, order.symbol, what, Remedy.BOOKED)

    # ---------------------------------------------------------------------------------------------- positions

    def _explain(self, difference: Difference) -> Sequence[Finding]:
        """Repair what trades that are not booked explain of a difference."""
        found: list[Finding] = []
        strays: Sequence[Trade] = ()
        for window in WINDOWS:
            strays = self._unbooked(difference.symbol, self.clock.now() - window)
            if sum((each.qty * each.side.sign for each in strays), Decimal(0)) == difference.missing:
                break
        for order_id in dict.fromkeys(each.exchange_order_id for each in strays):
            found += self._account_for(difference.symbol, order_id, strays)
        return found

    def _unbooked(self, symbol: str, since: datetime) -> Sequence[Trade]:
        trades = self.venue.trades_since(symbol, since)
        with self.ledger.read() as unit:
            known = unit.fills.trade_ids(self.account, symbol, since)
        return [trade for trade in trades if trade.trade_id not in known]

    def _account_for(self, symbol: str, order_id: str, strays: Sequence[Trade]) -> Iterator[Finding]:
        """Whose trades these are, and what is done about them."""
        since = min(each.occurred_at for each in strays) - WINDOWS[0]
        listed = self.venue.orders_since(symbol, since)
        for told in (each for each in listed if each.exchange_order_id == order_id):
            with self.ledger.read() as unit:
                order = unit.orders.get(told.report.client_order_id)
            if order is None:
                yield self._adoption().look_at(told, self.clock.now())
            else:
                yield from self._book_late(order, told.report)

    def _book_late(self, order: Order, told: OrderReport) -> Iterator[Finding]:
        after = self._books().settle(order, told)
        if after.filled_qty != order.filled_qty or after.state is not order.state:
            what = f"order {order.client_order_id} filled {after.filled_qty}, booked were {order.filled_qty}"
            yield Finding(Subject.FILL, order.symbol, what, Remedy.BOOKED)

    def _books(self) -> Bookkeeper:
        return Bookkeeper(self.ledger, self.venue, self.clock, self.events)

    def _adoption(self) -> Adoption:
        return Adoption(self.ledger, self.venue, self._books(), self.account)


def _unless_unlisted(look: Callable[[Told], Finding | None], order: Told) -> Finding | None:
    """What the look finds; an order on a symbol that is not listed any more keeps no other from being looked at."""
    try:
        return look(order)
    except UnknownSymbol:
        what = f"nobody can be asked what became of order {order.client_order_id}: its symbol is not listed"
        return Finding(Subject.ORDER, order.symbol, what, Remedy.ESCALATED)


def _is_overdue(order: Order, patient_since: datetime) -> bool:
    acknowledged = order.state is OrderState.ACKED
    return acknowledged and order.sent_at is not None and order.sent_at < patient_since
