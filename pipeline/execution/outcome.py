"""What became of a decision, told from its orders. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.domain.decisions import End, Unresolved
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.outcomes import EndReason, Reason, parse_reason

Ending = End | Unresolved

MAIN_LEGS = (Leg.ENTRY, Leg.CLOSE)
"""The legs that a decision is about; stop and target follow an entry and decide nothing about it."""


def conclude(orders: Sequence[Order]) -> Ending:
    """How the decision with these orders ends; `Unresolved` while one of them may still change.

    An order is final in the ledger only with all of its fills booked, so what ends as executed is
    executed to the last trade. Raises: InvariantBroken without an order.
    """
    unsettled = [order for order in orders if not order.state.is_final]
    if unsettled:
        return Unresolved(
            "; ".join(f"{describe(order)} is {order.state}: {order.detail}" for order in unsettled)
        )
    return _ending(_last_of_main_leg(orders))


def _last_of_main_leg(orders: Sequence[Order]) -> Order:
    """The attempt that counts: every earlier one was refused, or there would be no later one."""
    for leg in MAIN_LEGS:
        attempts = [order for order in orders if order.leg is leg]
        if attempts:
            return max(attempts, key=lambda order: order.attempt)
    raise InvariantBroken("a decision without an order of entry or close cannot be concluded from its orders")


def _ending(order: Order) -> End:
    match order.state:
        case OrderState.REJECTED:
            return _end(EndReason.REJECTED_BY_EXCHANGE, order, order.detail)
        case OrderState.NOT_PLACED:
            return _end(EndReason.NOT_PLACED, order, order.detail)
        case OrderState.ABANDONED:
            reason, detail = read_abandonment(order.detail)
            return _end(reason, order, detail)
    filled = f"{order.filled_qty} of {order.qty} at {order.avg_price or 'no price'}"
    if order.filled_qty >= order.qty:
        return _end(EndReason.FILLED, order, filled)
    if order.filled_qty > 0:
        return _end(EndReason.PARTIALLY_FILLED, order, f"{filled}; the rest found nobody within the bound")
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
