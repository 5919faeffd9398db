"""One account's money: wallet, positions, margin. One-way positions, cross margin, all in Decimal."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from simulator.orders import ZERO, Order, OrderBookOfAccount, Side, Trade

TAKER_FEE = Decimal("0.0004")
MAKER_FEE = Decimal("0.0002")
DEFAULT_LEVERAGE = 20
MAX_LEVERAGE = 125
MAINTENANCE = Decimal("0.005")


@dataclass(slots=True)
class Position:
    """Signed quantity (long is positive) and its average entry price."""

    qty: Decimal = ZERO
    entry_price: Decimal = ZERO
    updated_ms: int = 0

    def apply(self, signed_qty: Decimal, price: Decimal) -> Decimal:
        """Take a fill in; the realised profit in USDT is the answer.

        Adding averages the entry price, reducing realises and keeps it, crossing zero closes and opens anew.
        """
        if self.qty * signed_qty >= 0:
            self._add(signed_qty, price)
            return ZERO
        closing = min(abs(signed_qty), abs(self.qty))
        direction = 1 if self.qty > 0 else -1
        realised = closing * (price - self.entry_price) * direction
        left_over = abs(signed_qty) - closing
        self.qty -= direction * closing
        if self.qty == 0:
            self.entry_price = ZERO
        if left_over:
            self._add(-direction * left_over, price)
        return realised

    def _add(self, signed_qty: Decimal, price: Decimal) -> None:
        total = self.qty + signed_qty
        if total:
            self.entry_price = (abs(self.qty) * self.entry_price + abs(signed_qty) * price) / abs(total)
        self.qty = total

    def unrealised(self, mark: Decimal) -> Decimal:
        return self.qty * (mark - self.entry_price)


@dataclass(frozen=True, slots=True)
class Income:
    """One change of the wallet. `tran_id` is unique for its kind; `trade_id` is 0 where no trade is behind it."""

    kind: str
    symbol: str
    amount: Decimal
    at_ms: int
    tran_id: int
    trade_id: int = 0


@dataclass(frozen=True, slots=True)
class Margin:
    """An account valued at given prices. Unit: USDT."""

    wallet: Decimal
    unrealised: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance: Decimal

    @property
    def balance(self) -> Decimal:
        return self.wallet + self.unrealised

    @property
    def initial(self) -> Decimal:
        return self.position_margin + self.order_margin

    @property
    def available(self) -> Decimal:
        return max(ZERO, self.balance - self.initial)


@dataclass(slots=True)
class Account:
    """Everything the exchange keeps under one API key."""

    api_key: str
    api_secret: bytes
    wallet: Decimal
    deposited: Decimal
    created_ms: int
    can_withdraw: bool = False
    positions: dict[str, Position] = field(default_factory=dict)
    leverages: dict[str, int] = field(default_factory=dict)
    isolated: set[str] = field(default_factory=set)
    orders: OrderBookOfAccount = field(default_factory=OrderBookOfAccount)
    incomes: list[Income] = field(default_factory=list)
    changed: set[str] = field(default_factory=set, compare=False)
    """Symbols whose position, orders or leverage are not what they were when the cushion looked."""

    def position(self, symbol: str) -> Position:
        return self.positions.setdefault(symbol, Position())

    def held(self, symbol: str) -> Decimal:
        """Signed quantity held."""
        position = self.positions.get(symbol)
        return position.qty if position else ZERO

    def leverage(self, symbol: str) -> int:
        return self.leverages.get(symbol, DEFAULT_LEVERAGE)

    def set_leverage(self, symbol: str, leverage: int) -> None:
        self.leverages[symbol] = leverage
        self.changed.add(symbol)

    def reducible(self, symbol: str, side: Side) -> Decimal:
        """How much an order of this side could close."""
        held = self.held(symbol)
        closes = held < 0 if side is Side.BUY else held > 0
        return abs(held) if closes else ZERO

    def take(self, trade: Trade) -> None:
        """Book a trade whose realised profit is already in its record."""
        self.orders.take(trade)
        self.wallet += trade.realised - trade.fee
        if trade.realised:
            self._book("REALIZED_PNL", trade.realised, trade)
        self._book("COMMISSION", -trade.fee, trade)

    def _book(self, kind: str, amount: Decimal, trade: Trade) -> None:
        self.incomes.append(
            Income(kind, trade.symbol, amount, trade.at_ms, trade.trade_id, trade_id=trade.trade_id)
        )

    def receive(self, income: Income) -> None:
        """Book what changes the wallet without a trade: funding, a transfer."""
        self.wallet += income.amount
        self.incomes.append(income)

    def value(self, marks: dict[str, Decimal]) -> Margin:
        """Requires: a mark price for each symbol with a position."""
        held = {symbol: position for symbol, position in self.positions.items() if position.qty}
        unrealised = sum((position.unrealised(marks[symbol]) for symbol, position in held.items()), ZERO)
        notional = {symbol: abs(position.qty) * marks[symbol] for symbol, position in held.items()}
        return Margin(
            self.wallet,
            unrealised,
            sum((value / self.leverage(symbol) for symbol, value in notional.items()), ZERO),
            self._order_margin(),
            sum(notional.values(), ZERO) * MAINTENANCE,
        )

    def adds(self, symbol: str, mark: Decimal) -> Decimal:
        """What a symbol adds to the available balance at a price: profit, less the margin of position and orders."""
        held_back = sum((self._held_back(order) for order in self.orders.open.of(symbol)), ZERO)
        position = self.positions.get(symbol)
        if position is None:
            return -held_back
        return position.unrealised(mark) - abs(position.qty) * mark / self.leverage(symbol) - held_back

    def _order_margin(self) -> Decimal:
        return sum((self._held_back(order) for order in self.orders.open.values()), ZERO)

    def _held_back(self, order: Order) -> Decimal:
        """The margin of an open limit order that could open something."""
        request = order.request
        if request.is_reducing or not request.price:
            return ZERO
        opening = max(ZERO, order.remaining - self.reducible(request.symbol, request.side))
        return opening * request.price / self.leverage(request.symbol)
