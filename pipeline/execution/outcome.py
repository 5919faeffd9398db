"""What became of a decision, told from its orders. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from pipeline.domain.decisions import End, Unresolved
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.outcomes import EndReason, Reason, parse_reason

Ending = End | Unresolved


def conclude(orders: Sequence[Order]) -> Ending:
    """How the decision with these orders ends; `Unresolved` while one of them may still change.

    An order is final in the ledger only with all of its fills booked, so what ends as executed is
    executed to the last trade. Raises: InvariantBroken without an order.
    """
    unsettled = [order for order in orders if not order.state.is_final and not order.waits]
    if unsettled:
        return Unresolved(
            "; ".join(f"{describe(order)} is {order.state}: {order.detail}" for order in unsettled)
        )
    if not orders:
        raise InvariantBroken("a decision without an order cannot be concluded from its orders")
    return _ending(sorted(orders, key=lambda order: order.attempt))


def is_all(order: Order) -> bool:
    """Whether no other attempt can stand beside it: the first one, which filled whole, or waits for its price."""
    return order.attempt == 1 and (order.state is OrderState.FILLED or order.waits)


def _ending(attempts: Sequence[Order]) -> End:
    """What all attempts filled together; without a fill, the last one that says something."""
    whole = together(attempts)
    if whole.filled_qty > 0:
        filled = f"{whole.filled_qty} of {whole.qty} at {whole.avg_price or 'no price'}"
        if whole.filled_qty >= whole.qty:
            return _end(EndReason.FILLED, whole, filled)
        return _end(EndReason.PARTIALLY_FILLED, whole, f"{filled}; the rest found nobody within the bound")
    return _unfilled(_telling(attempts))


def together(attempts: Sequence[Order]) -> Order:
    """All attempts under one permit as one order: the last one, with the first one's quantity and all fills."""
    if len(attempts) == 1:
        return attempts[0]
    filled = sum((order.filled_qty for order in attempts), Decimal(0))
    worth = sum((order.filled_qty * (order.avg_price or 0) for order in attempts), Decimal(0))
    average = worth / filled if filled else None
    return replace(attempts[-1], qty=attempts[0].qty, filled_qty=filled, avg_price=average)


def _telling(attempts: Sequence[Order]) -> Order:
    """The last attempt, or the one before when the last was only too late to be sent."""
    last = attempts[-1]
    if len(attempts) > 1 and last.state is OrderState.ABANDONED:
        reason, _ = read_abandonment(last.detail)
        if reason in {EndReason.PERMIT_EXPIRED, EndReason.DEADLINE}:
            return attempts[-2]
    return last


def _unfilled(order: Order) -> End:
    match order.state:
        case OrderState.REJECTED:
            return _end(EndReason.REJECTED_BY_EXCHANGE, order, order.detail)
        case OrderState.NOT_PLACED:
            return _end(EndReason.NOT_PLACED, order, order.detail)
        case OrderState.ABANDONED:
            reason, detail = read_abandonment(order.detail)
            return _end(reason, order, detail)
        case OrderState.ACKED:
            return _end(EndReason.PROTECTED, order, f"{order.leg} rests at {order.limit_price}")
    return _end(EndReason.UNFILLED, order, f"nobody traded within the bound of {order.limit_price}")


def _end(reason: Reason, order: Order, detail: str) -> End:
    return End(reason, f"{describe(order)}: {detail}", as_output(order))


def as_output(order: Order) -> dict[str, object]:
    """What the stage's record keeps of an order."""
    return {
        "client_order_id": order.client_order_id,
        "state": order.state.value,
        "attempt": order.attempt,
        "filled_qty": str(order.filled_qty),
        "avg_price": None if order.avg_price is None else str(order.avg_price),
    }


def describe(order: Order) -> str:
    """`buy 0.5 BTC/USDT:USDT` in a line."""
    return f"{order.side} {order.qty} {order.symbol}"


def abandonment(end: End) -> str:
    """Why an order was never sent, as its last step says it: the reason's word first."""
    return f"{end.reason.value}: {end.detail}"


def read_abandonment(detail: str) -> tuple[Reason, str]:
    """What `abandonment` wrote. Anything else counts as a permit that ran out."""
    word, _, rest = detail.partition(": ")
    try:
        return parse_reason(word), rest
    except ValueError:
        return EndReason.PERMIT_EXPIRED, detail
