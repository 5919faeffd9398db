"""Orders, conditional orders and trades as the exchange keeps them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

ZERO = Decimal(0)


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    def signed(self, qty: Decimal) -> Decimal:
        return qty if self is Side.BUY else -qty


class OrderType(StrEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"

    @property
    def is_conditional(self) -> bool:
        return self not in {OrderType.LIMIT, OrderType.MARKET}

    @property
    def has_price(self) -> bool:
        return self in {OrderType.LIMIT, OrderType.STOP, OrderType.TAKE_PROFIT}

    @property
    def is_stop(self) -> bool:
        return self in {OrderType.STOP, OrderType.STOP_MARKET}


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class Status(StrEnum):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        return self in {Status.NEW, Status.PARTIALLY_FILLED}


class AlgoStatus(StrEnum):
    NEW = "NEW"
    CANCELED = "CANCELED"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as it was asked for, parsed and checked against the filters."""

    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    client_id: str
    reduce_only: bool = False
    close_position: bool = False
    trigger: Decimal | None = None
    working_type: str = "CONTRACT_PRICE"

    @property
    def is_reducing(self) -> bool:
        return self.reduce_only or self.close_position

    @property
    def triggers_rising(self) -> bool:
        """Stops wait for a move against the position they protect, take-profits for the opposite."""
        return (self.side is Side.BUY) == self.type.is_stop


@dataclass(slots=True)
class Order:
    """One order of its life; the request never changes, what became of it does."""

    order_id: int
    request: OrderRequest
    qty: Decimal
    created_ms: int
    updated_ms: int
    status: Status = Status.NEW
    executed: Decimal = ZERO
    quote: Decimal = ZERO
    orig_type: OrderType = OrderType.LIMIT

    @property
    def remaining(self) -> Decimal:
        return self.qty - self.executed

    @property
    def avg_price(self) -> Decimal:
        return self.quote / self.executed if self.executed else ZERO

    def fill(self, qty: Decimal, price: Decimal, at_ms: int) -> None:
        self.executed += qty
        self.quote += qty * price
        self.updated_ms = at_ms
        self.status = Status.FILLED if self.remaining <= 0 else Status.PARTIALLY_FILLED

    def end(self, status: Status, at_ms: int) -> None:
        self.status = status
        self.updated_ms = at_ms


@dataclass(slots=True)
class AlgoOrder:
    """A conditional order: it waits for its trigger and then becomes an order."""

    algo_id: int
    request: OrderRequest
    created_ms: int
    updated_ms: int
    status: AlgoStatus = AlgoStatus.NEW
    triggered_ms: int = 0
    order_id: int | None = None
    order_avg_price: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        return self.status is AlgoStatus.NEW

    @property
    def trigger(self) -> Decimal:
        return self.request.trigger or ZERO

    def end(self, status: AlgoStatus, at_ms: int) -> None:
        self.status = status
        self.updated_ms = at_ms


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill of one order. Unit: `realised` and `fee` in USDT."""

    trade_id: int
    order_id: int
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    realised: Decimal
    fee: Decimal
    maker: bool
    at_ms: int


Either = TypeVar("Either", Order, AlgoOrder)


@dataclass(slots=True)
class OpenOrders(Generic[Either]):
    """The open orders of one kind by number, oldest first; those of a symbol are found without a look at the others."""

    _all: dict[int, Either] = field(default_factory=dict)
    _of: dict[str, dict[int, Either]] = field(default_factory=dict)
    news: set[str] = field(default_factory=set, compare=False)
    """Symbols that have got one since somebody emptied this."""

    def add(self, number: int, order: Either) -> None:
        symbol = order.request.symbol
        self._all[number] = order
        self._of.setdefault(symbol, {})[number] = order
        self.news.add(symbol)

    def drop(self, number: int) -> None:
        """Nothing happens when it is not among them."""
        order = self._all.pop(number, None)
        if order is not None:
            del self._of[order.request.symbol][number]

    def of(self, symbol: str) -> list[Either]:
        return list(self._of.get(symbol, {}).values())

    def values(self) -> Collection[Either]:
        return self._all.values()

    def __iter__(self) -> Iterator[int]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


@dataclass(slots=True)
class OrderBookOfAccount:
    """Every order of one account: by id, by client id (latest), and the open ones."""

    by_id: dict[int, Order] = field(default_factory=dict)
    by_client: dict[str, list[Order]] = field(default_factory=dict)
    open: OpenOrders[Order] = field(default_factory=OpenOrders)
    algos: dict[int, AlgoOrder] = field(default_factory=dict)
    algos_by_client: dict[str, list[AlgoOrder]] = field(default_factory=dict)
    open_algos: OpenOrders[AlgoOrder] = field(default_factory=OpenOrders)
    trades: list[Trade] = field(default_factory=list)
    trades_of: dict[str, list[Trade]] = field(default_factory=dict)

    def add(self, order: Order) -> None:
        self.by_id[order.order_id] = order
        self.by_client.setdefault(order.request.client_id, []).append(order)
        if order.status.is_open:
            self.open.add(order.order_id, order)

    def add_algo(self, algo: AlgoOrder) -> None:
        self.algos[algo.algo_id] = algo
        self.algos_by_client.setdefault(algo.request.client_id, []).append(algo)
        self.open_algos.add(algo.algo_id, algo)

    def take(self, trade: Trade) -> None:
        self.trades.append(trade)
        self.trades_of.setdefault(trade.symbol, []).append(trade)

    def settle(self, order: Order) -> None:
        """Forget an order that is no longer open from the list of open ones."""
        if not order.status.is_open:
            self.open.drop(order.order_id)

    def has_open_client_id(self, client_id: str) -> bool:
        """A client order id is taken only while an order that carries it is open."""
        orders = self.by_client.get(client_id, ())
        return any(order.status.is_open for order in orders)

    def has_open_algo_id(self, client_id: str) -> bool:
        return any(algo.is_open for algo in self.algos_by_client.get(client_id, ()))
