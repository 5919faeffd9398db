"""An exchange in memory that goes wrong on demand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import OrderType, TimeInForce
from pipeline.domain.orders import (
    Acknowledged,
    Answer,
    ListedOrder,
    Order,
    OrderReport,
    OrderState,
    Rejected,
    Trade,
    Unknown,
)
from pipeline.domain.permits import Permit
from pipeline.domain.positions import Equity, Holding, Income
from pipeline.domain.timeframes import Clock


@unique
class Accident(StrEnum):
    """What can happen to one submission."""

    NONE = "none"
    LOST_REQUEST = "lost_request"
    LOST_ANSWER = "lost_answer"
    LATE = "late"
    BUSY = "busy"
    REFUSED = "refused"


@dataclass(slots=True)
class _Placed:
    """An order in the fake's books. `visible_at`: before it the exchange says "not found" although it is
    there.
    """

    order: Order
    report: OrderReport
    accepted_at: datetime
    visible_at: datetime
    trades: list[Trade] = field(default_factory=list)


@dataclass(slots=True)
class FakeVenue:
    """An exchange in memory. Immediate-or-cancel orders within the bound fill at once, in two trades.

    `rests` makes what is priced on its own side wait in the book instead of trading; `trade` fills it.
    `accidents` happen to the next submissions, one each; `down` makes every question fail;
    `fill_fraction` is how much an order finds. `requests` counts what was sent, `accepted` what reached
    the book: a second entry for one client order id is the double order that must never be. Orders that wait
    are triggered by `move`. `held_before` is what each symbol's position was before the first order.
    """

    clock: Clock
    account: str = "main"
    mode: Mode = Mode.PAPER
    name: str = "binanceusdm"
    best: Decimal = Decimal("60000.0")
    balance: Decimal = Decimal("10000")
    fee_rate: Decimal = Decimal("0.0004")
    fill_fraction: Decimal = Decimal(1)
    receive_window: timedelta = timedelta(seconds=5)
    late_by: timedelta = timedelta(seconds=20)
    rests: bool = False
    held_before: Decimal = Decimal(0)
    hidden_for: timedelta = timedelta(0)
    trades_late_by: timedelta = timedelta(0)
    down: str = ""
    accidents: list[Accident] = field(default_factory=list)
    requests: list[Order] = field(default_factory=list)
    accepted: list[Order] = field(default_factory=list)
    _book: list[_Placed] = field(default_factory=list)
    dead_men: list[tuple[str, float]] = field(default_factory=list)
    paid: list[Income] = field(default_factory=list)
    _countdowns: dict[str, datetime] = field(default_factory=dict)
    _entries: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    _late: list[tuple[datetime, Order]] = field(default_factory=list)
    _next_id: int = 1

    # ------------------------------------------------------------------------------------ the port Venue

    def submit(self, order: Order, permit: Permit) -> Answer:
        self.requests.append(order)
        if order.sent_at is None or order.permit_id != permit.permit_id:
            return Rejected("NOT_SENT", "an order is sent with its own permit and its pinned time")
        accident = self.accidents.pop(0) if self.accidents else Accident.NONE
        match accident:
            case Accident.LOST_REQUEST:
                return Unknown("the fake lost the request")
            case Accident.LATE if not self._outside_window(order):
                self._late.append((self.clock.now() + self.late_by, order))
                return Unknown("the fake keeps the request for a while")
            case Accident.BUSY:
                return Rejected("-1008", "the fake is busy", retryable=True)
            case Accident.REFUSED:
                return Rejected("-2019", "Margin is insufficient.")
        answer = self._take(order)
        return Unknown("the fake lost the answer") if accident is Accident.LOST_ANSWER else answer

    def find(self, order: Order) -> OrderReport | None:
        placed = self._look(order)
        return placed.report if placed and self.clock.now() >= placed.visible_at else None

    def listed(self, order: Order, since: datetime) -> OrderReport | None:
        placed = self._look(order)
        return placed.report if placed and placed.accepted_at >= since else None

    def trades(self, order: Order) -> Sequence[Trade]:
        self._answer()
        matching = (
            placed for placed in self._book if placed.report.exchange_order_id == order.exchange_order_id
        )
        return [trade for placed in matching for trade in placed.trades if self._is_listed(trade)]

    def trades_since(self, symbol: str, since: datetime) -> Sequence[Trade]:
        self._answer()
        on_symbol = (placed for placed in self._book if placed.order.symbol == symbol)
        trades = [trade for placed in on_symbol for trade in placed.trades if self._is_listed(trade)]
        return [trade for trade in trades if trade.occurred_at >= since]

    def open_orders(self) -> Sequence[ListedOrder]:
        self._answer()
        return [_listed(placed) for placed in self._book if not placed.report.state.is_final]

    def orders_since(self, symbol: str, since: datetime) -> Sequence[ListedOrder]:
        self._answer()
        on_symbol = (placed for placed in self._book if placed.order.symbol == symbol)
        return [_listed(placed) for placed in on_symbol if placed.accepted_at >= since]

    def waiting(self, symbols: Collection[str]) -> frozenset[ClientOrderId]:
        self._answer()
        return frozenset(placed.order.client_order_id for placed in self._guards(symbols))

    def cancel(self, order: Order) -> bool:
        placed = self._look(order)
        if placed is None or placed.report.state.is_final:
            return False
        placed.report = replace(placed.report, state=OrderState.CANCELED)
        return True

    def dead_man(self, symbol: str, after_s: float) -> None:
        self._answer()
        self.dead_men.append((symbol, after_s))
        self._countdowns.pop(symbol, None)
        if after_s > 0:
            self._countdowns[symbol] = self.clock.now() + timedelta(seconds=after_s)

    def equity(self) -> Equity:
        self._answer()
        now = self.clock.now()
        money = self.balance + sum((each.amount for each in self.paid), self._earned())
        return Equity(
            account=self.account,
            mode=self.mode,
            equity=money,
            available=money,
            unrealised_pnl=Decimal(0),
            occurred_at=now,
            recorded_at=now,
        )

    def incomes(self, since: datetime) -> Sequence[Income]:
        self._answer()
        return [each for each in self.paid if each.occurred_at >= since]

    def _earned(self) -> Decimal:
        """Realised profit less fees, over all trades."""
        trades = (trade for placed in self._book for trade in placed.trades)
        return sum(((trade.realised or Decimal(0)) - trade.fee for trade in trades), Decimal(0))

    def holdings(self) -> Sequence[Holding]:
        self._answer()
        held = {placed.order.symbol: self._held(placed.order.symbol) for placed in self._book}
        return [Holding(symbol=symbol, qty=qty, entry_price=self.best) for symbol, qty in held.items() if qty]

    # ------------------------------------------------------------------------------- inside the exchange

    def trade(self, qty: Decimal | str) -> None:
        """Somebody trades that much with the order that rests longest."""
        placed = next(placed for placed in self._book if not placed.report.state.is_final)
        filled = placed.report.filled_qty + Decimal(qty)
        state = OrderState.FILLED if filled == placed.order.qty else OrderState.PARTIALLY_FILLED
        price = placed.order.limit_price
        place = len(placed.trades)
        placed.trades.append(self._trade(placed, Decimal(qty), self.clock.now(), place, price))
        placed.report = replace(placed.report, state=state, filled_qty=filled, avg_price=price)

    @property
    def resting(self) -> list[Order]:
        """The orders that are open in the book."""
        self._run_countdowns()
        return [placed.order for placed in self._book if not placed.report.state.is_final]

    def _run_countdowns(self) -> None:
        over = [symbol for symbol, at in self._countdowns.items() if at <= self.clock.now()]
        for symbol in over:
            del self._countdowns[symbol]
            for placed in self._book:
                is_open = not placed.report.state.is_final and not placed.order.type.waits
                if placed.order.symbol == symbol and is_open:
                    placed.report = replace(placed.report, state=OrderState.CANCELED)

    def move(self, price: Decimal) -> None:
        """The market goes there at once, and sets off what waited for it."""
        self.best = price
        for placed in [*self._guards()]:
            if self._is_reached(placed.order):
                self._trigger(placed)

    def _guards(self, symbols: Collection[str] = ()) -> list[_Placed]:
        waiting = [p for p in self._book if p.order.type.waits and p.report.state is OrderState.ACKED]
        return [placed for placed in waiting if not symbols or placed.order.symbol in symbols]

    def _is_reached(self, order: Order) -> bool:
        """A stop waits for a move against the position that it protects, a target for the opposite."""
        beyond = (self.best - order.limit_price) * order.side.sign
        return beyond >= 0 if order.type is OrderType.STOP_MARKET else beyond <= 0

    def _trigger(self, placed: _Placed) -> None:
        """It becomes an order with an id of its own, cut to what is held; with nothing held it dies."""
        filled = self._reducible(placed.order)
        self._next_id += 1
        placed.report = replace(
            placed.report,
            exchange_order_id=str(8_000_000_000 + self._next_id),
            state=OrderState.FILLED if filled == placed.order.qty else OrderState.EXPIRED,
            filled_qty=filled,
            avg_price=self.best if filled else None,
        )
        placed.trades = self._trades_of(placed, filled, self.clock.now())

    def _held(self, symbol: str) -> Decimal:
        on_symbol = (placed for placed in self._book if placed.order.symbol == symbol)
        moved = (placed.report.filled_qty * placed.order.side.sign for placed in on_symbol)
        return sum(moved, self.held_before)

    def _reducible(self, order: Order) -> Decimal:
        """How much of the order closes what is held."""
        return min(order.qty, max(Decimal(0), -self._held(order.symbol) * order.side.sign))

    def _answer(self) -> None:
        self._let_late_ones_in()
        self._run_countdowns()
        if self.down:
            raise ExchangeUnavailable(self.down)

    def _look(self, order: Order) -> _Placed | None:
        self._answer()
        return self._known(order)

    def _known(self, order: Order) -> _Placed | None:
        newest_first = reversed(self._book)
        return next((p for p in newest_first if p.order.client_order_id == order.client_order_id), None)

    def _let_late_ones_in(self) -> None:
        due = [order for at, order in self._late if at <= self.clock.now()]
        self._late = [(at, order) for at, order in self._late if at > self.clock.now()]
        for order in due:
            self._place(order)

    def _take(self, order: Order) -> Answer:
        """The gate and the book, as the real one: ids are unique among open orders only."""
        known = self._known(order)
        if known and not known.report.state.is_final:
            return Unknown("-4116: an open order has this client order id")
        if self._outside_window(order):
            return Rejected(
                "-1021", "Timestamp for this request is outside of the recvWindow.", retryable=True
            )
        if order.qty * self.best > self.balance * 20:
            return Rejected("-2019", "Margin is insufficient.")
        if order.reduce_only and not self._reducible(order):
            return Rejected("-2022", "ReduceOnly Order is rejected.")
        if order.type.waits and self._is_reached(order):
            return Rejected("-2021", "Order would immediately trigger.")
        return Acknowledged(self._place(order).report)

    def _outside_window(self, order: Order) -> bool:
        return order.sent_at is None or self.clock.now() - order.sent_at > self.receive_window

    def _place(self, order: Order) -> _Placed:
        now = self.clock.now()
        state, filled = self._match(order)
        report = OrderReport(
            client_order_id=order.client_order_id,
            exchange_order_id=str(8_000_000_000 + self._next_id),
            state=state,
            filled_qty=filled,
            avg_price=self.best if filled else None,
        )
        placed = _Placed(order, report, now, now + self.hidden_for)
        placed.trades = self._trades_of(placed, filled, now)
        self._next_id += 1
        self._book.append(placed)
        self.accepted.append(order)
        return placed

    def _match(self, order: Order) -> tuple[OrderState, Decimal]:
        if order.type.waits:
            return OrderState.ACKED, Decimal(0)
        bounded = order.type is OrderType.LIMIT
        distance = (order.limit_price - self.best) * order.side.sign
        joins = (
            self.rests and order.side.sign < 0 and distance == 0
        )  # a sale at the best ask waits for a buyer
        crosses = not bounded or (distance >= 0 and not joins)
        found = self._reducible(order) if order.reduce_only else order.qty
        filled = found * self.fill_fraction if crosses else Decimal(0)
        if filled == order.qty:
            return OrderState.FILLED, filled
        if bounded and order.tif is TimeInForce.GTC:
            return (OrderState.PARTIALLY_FILLED if filled else OrderState.ACKED), filled
        return OrderState.EXPIRED, filled

    def _trades_of(self, placed: _Placed, filled: Decimal, now: datetime) -> list[Trade]:
        first = (filled / 2).quantize(Decimal("0.001"))
        parts = [part for part in (first, filled - first) if part > 0]
        return [self._trade(placed, part, now, place, self.best) for place, part in enumerate(parts)]

    def _trade(self, placed: _Placed, qty: Decimal, now: datetime, place: int, price: Decimal) -> Trade:
        return Trade(
            trade_id=f"{placed.report.exchange_order_id}{place}",
            exchange_order_id=placed.report.exchange_order_id,
            side=placed.order.side,
            qty=qty,
            price=price,
            fee=qty * price * self.fee_rate,
            fee_asset="USDT",
            occurred_at=now,
            realised=self._realised(placed.order, qty, price),
        )

    def _realised(self, order: Order, qty: Decimal, price: Decimal) -> Decimal:
        """What this trade earns before its fee; the position follows it."""
        held, entry = self._entries.get(order.symbol, (self.held_before, self.best))
        moved, after = qty * order.side.sign, held + qty * order.side.sign
        closed = min(abs(held), qty) if held * moved < 0 else Decimal(0)
        if held * moved >= 0:
            entry = (abs(held) * entry + qty * price) / abs(after)
        elif held * after < 0:
            entry = price
        self._entries[order.symbol] = after, entry
        return ((price - entry) * closed * (1 if held > 0 else -1)).quantize(Decimal("0.00000001"))

    def _is_listed(self, trade: Trade) -> bool:
        return self.clock.now() >= trade.occurred_at + self.trades_late_by


def _listed(placed: _Placed) -> ListedOrder:
    order, report = placed.order, placed.report
    return ListedOrder(
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        exchange_order_id=report.exchange_order_id,
        side=order.side,
        type=order.type.value.upper(),
        qty=order.qty,
        limit_price=order.limit_price,
        reduce_only=order.reduce_only,
        state=report.state,
        filled_qty=report.filled_qty,
        avg_price=report.avg_price,
        occurred_at=placed.accepted_at,
    )
