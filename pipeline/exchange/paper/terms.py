"""What the paper broker is told, and what it remembers of an order. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from pipeline.domain.intents import OrderType, TimeInForce
from pipeline.domain.orders import ListedOrder, Order, OrderReport, OrderState
from pipeline.domain.signals import Side
from pipeline.exchange.reading import instant, to_milliseconds

CONDITIONAL = frozenset({OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET})


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTerms:
    """Fees and steps in basis points, `depth` in quote: what is bought at the best price before it gets worse
    by one step, and again at each step. `latency_ms` passes between sending an order and its matching.
    """

    account: str
    balance: Decimal = Decimal(10_000)
    taker_bps: Decimal = Decimal(5)
    maker_bps: Decimal = Decimal(2)
    step_bps: Decimal = Decimal(1)
    depth: Decimal = Decimal(50_000)
    latency_ms: int = 50
    leverage: Decimal = Decimal(20)
    receive_window_ms: int = 5000
    settlement_asset: str = "USDT"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperOrder:
    """An order in the broker's books. `seen_ms` is up to when the market has been looked at for it."""

    number: int
    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    qty: Decimal
    price: Decimal
    reduce_only: bool
    state: OrderState
    filled: Decimal
    worth: Decimal
    placed_ms: int
    seen_ms: int

    @classmethod
    def of(cls, order: Order, number: int, now_ms: int) -> PaperOrder:
        return cls(
            number=number,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            tif=order.tif,
            qty=order.qty,
            price=order.limit_price,
            reduce_only=order.reduce_only,
            state=OrderState.ACKED,
            filled=Decimal(0),
            worth=Decimal(0),
            placed_ms=now_ms,
            seen_ms=now_ms,
        )

    @property
    def is_open(self) -> bool:
        return not self.state.is_final

    @property
    def left(self) -> Decimal:
        return self.qty - self.filled

    @property
    def waits(self) -> bool:
        """Whether it waits for a trigger price, which `price` is then."""
        return self.type in CONDITIONAL

    def report(self, client_order_id: str) -> OrderReport:
        """As the exchange would describe it."""
        return OrderReport(
            client_order_id=client_order_id,  # type: ignore[arg-type]  # it was one when it came
            exchange_order_id=str(self.number),
            state=self.state,
            filled_qty=self.filled,
            avg_price=self.worth / self.filled if self.filled else None,
        )

    def listed(self) -> ListedOrder:
        """As the exchange would list it."""
        return ListedOrder(
            symbol=self.symbol,
            client_order_id=self.client_order_id,
            exchange_order_id=str(self.number),
            side=self.side,
            type=self.type.value.upper(),
            qty=self.qty,
            limit_price=self.price,
            reduce_only=self.reduce_only,
            state=self.state,
            filled_qty=self.filled,
            avg_price=self.worth / self.filled if self.filled else None,
            occurred_at=instant(self.placed_ms),
        )

    def filled_by(self, qty: Decimal, price: Decimal) -> PaperOrder:
        filled = self.filled + qty
        state = OrderState.FILLED if filled == self.qty else OrderState.PARTIALLY_FILLED
        return replace(self, filled=filled, worth=self.worth + qty * price, state=state)


def sent_ms(order: Order) -> int:
    """When it was signed. Raises: TypeError when it never was."""
    if order.sent_at is None:
        raise TypeError("an order is sent with its pinned time")
    return to_milliseconds(order.sent_at)
