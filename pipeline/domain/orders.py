"""Orders: their life as a table of allowed steps, and the answers an exchange can give."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, unique
from typing import NamedTuple

from pipeline.domain.decisions import Mode
from pipeline.domain.ids import ClientOrderId, DecisionId, PermitId
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.signals import Side


@unique
class OrderState(StrEnum):
    """Where an order is in its life."""

    INTENT = "INTENT"
    SENDING = "SENDING"
    ACKED = "ACKED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    NOT_PLACED = "NOT_PLACED"
    ABANDONED = "ABANDONED"

    @property
    def is_final(self) -> bool:
        return self in FINAL

    @property
    def may_be_on_exchange(self) -> bool:
        """Whether its worst case must count against the limits."""
        return self in {S.SENDING, S.ACKED, S.PARTIALLY_FILLED, S.UNKNOWN}


S = OrderState

FINAL = frozenset({S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.NOT_PLACED, S.ABANDONED})

STEPS: frozenset[tuple[OrderState, OrderState]] = frozenset(
    {
        (S.INTENT, S.SENDING),
        (S.INTENT, S.ABANDONED),  # never sent: the permit ran out, or a switch went on
        (S.SENDING, S.ACKED),
        (S.SENDING, S.PARTIALLY_FILLED),
        (S.SENDING, S.FILLED),
        (S.SENDING, S.CANCELED),
        (S.SENDING, S.EXPIRED),  # an immediate-or-cancel order is answered in its last state
        (S.SENDING, S.REJECTED),
        (S.SENDING, S.UNKNOWN),
        (S.UNKNOWN, S.ACKED),
        (S.UNKNOWN, S.PARTIALLY_FILLED),
        (S.UNKNOWN, S.FILLED),
        (S.UNKNOWN, S.CANCELED),
        (S.UNKNOWN, S.EXPIRED),
        (S.UNKNOWN, S.REJECTED),
        (S.UNKNOWN, S.NOT_PLACED),
        (S.ACKED, S.PARTIALLY_FILLED),
        (S.ACKED, S.FILLED),
        (S.ACKED, S.CANCELED),
        (S.ACKED, S.EXPIRED),
        (S.ACKED, S.UNKNOWN),  # it waited for its price and is nowhere any more
        (S.PARTIALLY_FILLED, S.PARTIALLY_FILLED),  # a resting order fills bit by bit
        (S.PARTIALLY_FILLED, S.FILLED),
        (S.PARTIALLY_FILLED, S.CANCELED),
        (S.PARTIALLY_FILLED, S.EXPIRED),
        (S.CANCELED, S.FILLED),  # the fill was already on its way
        (S.EXPIRED, S.FILLED),
        (S.NOT_PLACED, S.ACKED),  # the exchange surprises us after all proof: kept, and escalated
        (S.NOT_PLACED, S.PARTIALLY_FILLED),
        (S.NOT_PLACED, S.FILLED),
    }
)


def may_step(before: OrderState, after: OrderState) -> bool:
    return (before, after) in STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A permitted order with its identity. `sent_at` is the signed timestamp, pinned when it became SENDING."""

    client_order_id: ClientOrderId
    decision_id: DecisionId
    leg: Leg
    attempt: int
    account: str
    mode: Mode
    permit_id: PermitId
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    qty: Decimal
    limit_price: Decimal
    reduce_only: bool
    decision_price: Decimal
    state: OrderState = OrderState.INTENT
    fence: str = ""
    created_at: datetime
    sent_at: datetime | None = None
    resolved_at: datetime | None = None
    exchange_order_id: str = ""
    filled_qty: Decimal = Decimal(0)
    avg_price: Decimal | None = None
    fee: Decimal = Decimal(0)
    fee_asset: str = ""
    misses: int = 0
    first_miss_at: datetime | None = None
    last_miss_at: datetime | None = None
    detail: str = ""

    @property
    def waits(self) -> bool:
        """Whether the exchange has it and it waits there for its trigger price: nothing is unclear about it."""
        return self.type.waits and self.state is OrderState.ACKED


class Brief(NamedTuple):
    """What is to be known of an unsettled order by whoever looks at all of them."""

    client_order_id: ClientOrderId
    symbol: str
    leg: Leg
    type: OrderType
    state: OrderState

    @property
    def waits(self) -> bool:
        """As `Order.waits`."""
        return self.state is OrderState.ACKED and self.type.waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One trade of an order; unique by (exchange, symbol, trade_id), however often it is told.

    `slippage_bps` is against the decision price; positive means worse for us.
    """

    exchange: str
    symbol: str
    trade_id: str
    client_order_id: ClientOrderId
    decision_id: DecisionId
    account: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    slippage_bps: Decimal
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A fill as the exchange tells it, before we know whose it is. `realised` is its figure of the profit, before fees,
    if it tells one.
    """

    trade_id: str
    exchange_order_id: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    occurred_at: datetime
    realised: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedOrder:
    """An order as the exchange lists it, before we know whose it is. `client_order_id` and `type` are its words."""

    symbol: str
    client_order_id: str
    exchange_order_id: str
    side: Side
    type: str
    qty: Decimal
    limit_price: Decimal
    reduce_only: bool
    state: OrderState
    filled_qty: Decimal
    avg_price: Decimal | None
    occurred_at: datetime

    @property
    def report(self) -> OrderReport:
        """What it says about the order of ours that it turned out to be."""
        return OrderReport(
            client_order_id=ClientOrderId(self.client_order_id),
            exchange_order_id=self.exchange_order_id,
            state=self.state,
            filled_qty=self.filled_qty,
            avg_price=self.avg_price,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order as the exchange describes it; echoing our client order id is what makes it trustworthy."""

    client_order_id: ClientOrderId
    exchange_order_id: str
    state: OrderState
    filled_qty: Decimal
    avg_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The exchange has it."""

    report: OrderReport


@dataclass(frozen=True, slots=True)
class Rejected:
    """A listed, definite refusal: nothing was placed. `retryable` when a new attempt may succeed."""

    code: str
    message: str
    retryable: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything else: it may or may not be on the exchange."""

    why: str


Answer = Acknowledged | Rejected | Unknown
