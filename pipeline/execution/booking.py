"""Fills, positions, the money and the end of an order, written down together.

An order becomes final only in the transaction that holds all of its fills. Until the exchange's list of
trades covers the quantity that it calls filled, the order stays ACKED: its worst case goes on counting,
and the resolver asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, InvariantBroken
from pipeline.domain.events import EventName, Events
from pipeline.domain.ids import DecisionId
from pipeline.domain.orders import Fill, Order, OrderReport, OrderState, Trade, may_step
from pipeline.domain.ports import Clock, Ledger, Unit, Venue
from pipeline.domain.positions import Position, book
from pipeline.domain.signals import Side
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.postings import of_fill

Then = Callable[[Unit, Order], None]
"""Something that is written in the same transaction as an order's end, or as the exchange's word that it waits."""

BPS = Decimal(10_000)
UNLISTED = "order-"
"""How the number of a trade begins that was made from its order."""
BPS_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Booked:
    """A fill that was new, and what it did to the position; `before` is the position it met."""

    fill: Fill
    before: Position | None
    after: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Bookkeeper:
    """Writes down what the exchange says about an order: idempotent, whoever says it and however often."""

    ledger: Ledger
    venue: Venue
    clock: Clock
    events: Events

    def settle(
        self,
        order: Order,
        report: OrderReport,
        then: Then | None = None,
        trades: Sequence[Trade] | None = None,
        *,
        at: datetime | None = None,
        durable: bool = False,
    ) -> Order:
        """Book the order's new trades and take the step that `report` allows. Returns the order as it
        stands now. `then` is called in the transaction that makes it final, or finds it waiting for its price; `trades`
        are those of the order, unless the exchange is to be asked for them; the report came `at`, or just now.

        Need not wait for the disk: an order whose booking a power cut forgets is asked about again, see
        docs/decisions/0009. `durable` when `then` claims another order.
        Raises: InvariantBroken when the trades contradict the order; LedgerUnavailable.
        """
        now = at or self.clock.now()  # of the report: asking for the trades takes a request of its own
        if trades is None:
            trades = self._trades(order, report)
        with self.ledger.begin(durable=durable) as unit:
            if trades:  # before any other lock, and before anybody reads the position that follows them
                unit.positions.lock_symbol(order.account, order.symbol)
            if then is not None:  # the decision before its order, as a claim does: nobody waits in a circle
                unit.decisions.lock(order.decision_id)
            booked = book_trades(unit, order, trades, self.venue.name, now)
            known = unit.fills.of_order(order.client_order_id)
            after = _step(unit, order, report, known, now)
            if then is not None and (after.state.is_final or after.waits):
                then(unit, after)
            reached(CrashPoint.BOOKING_UNCOMMITTED, order.symbol)
        reached(CrashPoint.BOOKED, order.symbol)
        self._tell(order, after, booked)
        return after

    def _trades(self, order: Order, report: OrderReport) -> Sequence[Trade]:
        """None yet is no failure: the exchange may list a trade later than it reports the fill."""
        if report.filled_qty == 0:
            return ()
        try:
            return self.venue.trades(replace(order, exchange_order_id=report.exchange_order_id))
        except (ExchangeUnavailable, ExchangeRefused):
            return ()

    def _tell(self, before: Order, after: Order, booked: Sequence[Booked]) -> None:
        if not before.exchange_order_id and after.exchange_order_id:
            self.events.emit(EventName.ORDER_PLACED, **order_fields(after))
        for entry in booked:
            self._tell_fill(entry, after)

    def _tell_fill(self, entry: Booked, order: Order) -> None:
        fill, before = entry.fill, entry.before
        name = EventName.BUY_FILLED if fill.side is Side.BUY else EventName.SELL_FILLED
        opened_by = before.opened_by if before else fill.decision_id
        closed_by = fill.decision_id if before and before.side is not fill.side else None
        self.events.emit(
            name, **fill_fields(fill), leg=order.leg.value, opened_by=opened_by, closed_by=closed_by
        )
        for position in entry.after:
            if not position.is_open:
                self.events.emit(EventName.POSITION_CLOSED, **position_fields(position))
            elif entry.before is None or position.position_id != entry.before.position_id:
                self.events.emit(EventName.POSITION_OPENED, **position_fields(position))


def book_trades(
    unit: Unit, order: Order, trades: Sequence[Trade], exchange: str, now: datetime
) -> Sequence[Booked]:
    """Insert the trades that are new as fills and let the position follow. Returns the new ones.

    An order that was booked as a whole because its trades were never listed takes none of them any more.
    """
    if not trades or any(is_unlisted(fill) for fill in unit.fills.of_order(order.client_order_id)):
        return ()
    booked = []
    for trade in trades:
        if trade.side is not order.side:
            raise InvariantBroken(
                f"order {order.client_order_id} is a {order.side}, its trade a {trade.side}"
            )
        fill = as_fill(order, trade, exchange, now)
        if unit.fills.add(fill):
            booked.append(_book(unit, order, fill, trade.realised))
    return booked


def _book(unit: Unit, order: Order, fill: Fill, realised: Decimal | None) -> Booked:
    """Let the position follow, and the money."""
    before = unit.positions.open_of(order.account, order.symbol)
    opens = before is None or fill.side is not before.side
    after = book(before, fill, order.mode, _opened_earlier(unit, fill.decision_id) if opens else 0)
    for position in after:
        unit.positions.save(position)
    unit.journal.post(of_fill(fill, order.mode, before, after, realised))
    return Booked(fill, before, after)


def _opened_earlier(unit: Unit, decision_id: DecisionId) -> int:
    """How many positions the decision has opened so far."""
    return sum(each.opened_by == decision_id for each in unit.positions.touched_by(decision_id))


def unlisted_trade(order: Order, report: OrderReport, fills: Sequence[Fill], now: datetime) -> Trade:
    """What an order filled beyond its fills, as one trade made from the exchange's word on the order itself: with its
    quantity and price, and without its fee, which only its trades tell.

    Raises: InvariantBroken when the report says no price.
    """
    if report.avg_price is None:
        raise InvariantBroken(f"order {order.client_order_id} filled {report.filled_qty} at no price")
    missing = report.filled_qty - sum((fill.qty for fill in fills), Decimal(0))
    paid = sum((fill.qty * fill.price for fill in fills), Decimal(0))
    return Trade(
        trade_id=f"{UNLISTED}{report.exchange_order_id}",
        exchange_order_id=report.exchange_order_id,
        side=order.side,
        qty=missing,
        price=(report.avg_price * report.filled_qty - paid) / missing,
        fee=Decimal(0),
        fee_asset="",
        occurred_at=now,
    )


def is_unlisted(fill: Fill) -> bool:
    """Whether it stands for trades that the exchange has never listed."""
    return fill.trade_id.startswith(UNLISTED)


def as_fill(order: Order, trade: Trade, exchange: str, now: datetime) -> Fill:
    return Fill(
        exchange=exchange,
        symbol=order.symbol,
        trade_id=trade.trade_id,
        client_order_id=order.client_order_id,
        decision_id=order.decision_id,
        account=order.account,
        side=trade.side,
        qty=trade.qty,
        price=trade.price,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        slippage_bps=slippage_bps(order.side, trade.price, order.decision_price),
        occurred_at=trade.occurred_at,
        recorded_at=now,
    )


def slippage_bps(side: Side, price: Decimal, decision_price: Decimal) -> Decimal:
    """How much worse than the decision price, in basis points of it; negative when better."""
    return ((price - decision_price) / decision_price * side.sign * BPS).quantize(BPS_STEP)


def _step(unit: Unit, order: Order, report: OrderReport, fills: Sequence[Fill], now: datetime) -> Order:
    """Take the step that the report and the fills allow, from wherever the order stands by now."""
    filled = sum((fill.qty for fill in fills), Decimal(0))
    if filled > order.qty or report.filled_qty > order.qty:
        told = max(filled, report.filled_qty)
        raise InvariantBroken(f"order {order.client_order_id} is for {order.qty}, but {told} were filled")
    exact, covered = _exact_report(report, fills, filled), filled >= report.filled_qty
    while (to := next_state(order.state, report.state, covered=covered)) is not None:
        if to is order.state and order.filled_qty == exact.filled_qty:
            break  # a partial fill that is known already
        stepped = unit.orders.step(order, to, now, report=exact, detail=_detail(to, report))
        order = stepped or as_it_stands(unit, order)
    return order


def next_state(current: OrderState, told: OrderState, *, covered: bool) -> OrderState | None:
    """The state to move to next; None when there is nothing to change. `covered`: all told fills are
    booked.
    """
    wanted = told if covered else OrderState.ACKED
    if wanted is OrderState.REJECTED and not may_step(current, wanted):
        wanted = OrderState.EXPIRED  # accepted first, thrown out later: nothing of it is left on the exchange
    if current is OrderState.NOT_PLACED and not may_step(current, wanted):
        return OrderState.ACKED  # it surprises us after all proof; the next step says how it ended
    return wanted if may_step(current, wanted) else None


def _exact_report(report: OrderReport, fills: Sequence[Fill], filled: Decimal) -> OrderReport:
    """The report with the quantities that the fills prove; the exchange may tell the one before the other."""
    average = report.avg_price
    if fills and filled >= report.filled_qty:
        average = sum((fill.qty * fill.price for fill in fills), Decimal(0)) / filled
    return replace(report, filled_qty=max(filled, report.filled_qty), avg_price=average)


def _detail(to: OrderState, report: OrderReport) -> str:
    if to is OrderState.ACKED and report.filled_qty > 0:
        return (
            f"the exchange says {report.state} with {report.filled_qty} filled; its trades are not listed yet"
        )
    return f"the exchange says {report.state}"


def as_it_stands(unit: Unit, order: Order) -> Order:
    """The ledger's word on an order that somebody else may have moved."""
    found = unit.orders.get(order.client_order_id)
    if found is None:
        raise InvariantBroken(f"order {order.client_order_id} has vanished from the ledger")
    return found


def step_if_allowed(unit: Unit, order: Order, to: OrderState, now: datetime, detail: str) -> Order:
    """Take the step from wherever the order stands by now, if the table allows it from there. Once the exchange has
    acknowledged the order, its sender knows nothing better.
    """
    while not order.exchange_order_id and may_step(order.state, to):
        stepped = unit.orders.step(order, to, now, detail=detail)
        if stepped is not None:
            return stepped
        order = as_it_stands(unit, order)
    return order


def order_fields(order: Order) -> dict[str, Any]:
    """What every event about an order says."""
    return {
        "decision_id": order.decision_id,
        "client_order_id": order.client_order_id,
        "exchange_order_id": order.exchange_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "qty": order.qty,
        "limit_px": order.limit_price,
        "state": order.state.value,
        "filled_qty": order.filled_qty,
        "avg_price": order.avg_price,
        "attempt": order.attempt,
    }


def fill_fields(fill: Fill) -> dict[str, Any]:
    """What the event about a fill says; `execution_ms` is in the trace, from the order's times."""
    return {
        "decision_id": fill.decision_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "trade_id": fill.trade_id,
        "qty": fill.qty,
        "price": fill.price,
        "fee": fill.fee,
        "fee_asset": fill.fee_asset,
        "slippage_bps": fill.slippage_bps,
        "occurred_at": fill.occurred_at,
    }


def position_fields(position: Position) -> dict[str, Any]:
    """What the events about a position say."""
    return {
        "position_id": position.position_id,
        "symbol": position.symbol,
        "side": position.side.value,
        "qty": position.qty,
        "entry_price": position.entry_price,
        "realised_pnl": position.realised_pnl,
        "fees": position.fees,
        "opened_by": position.opened_by,
        "closed_by": position.closed_by,
    }
