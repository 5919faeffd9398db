"""What one permit still covers: how much is left, and at which price the next attempt asks for it. Pure.

A permit allows one order. A later attempt asks only for what no earlier one can still fill: every earlier one
was refused, or rested, was cancelled, and is final with all of its fills booked. So the fills of all attempts
together never exceed the permit's quantity, and no price is worse than its bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.domain.intents import Intent, OrderType, TimeInForce
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.permits import OrderTerms
from pipeline.domain.ports import Quote
from pipeline.domain.signals import Side
from pipeline.execution.options import ExecutionOptions


@dataclass(frozen=True, slots=True)
class Attempt:
    """One order to come under a permit: its number, quantity and limit price."""

    number: int
    qty: Decimal
    limit_price: Decimal


@dataclass(frozen=True, slots=True)
class Remainder:
    """What was not filled and is not asked for again, with the reason."""

    qty: Decimal
    why: str


def rests(order: Order) -> bool:
    """Whether it is one of those that wait in the book for a while and are then cancelled by us."""
    return is_resting_kind(order.type, order.tif)


def is_resting_kind(type_: OrderType, tif: TimeInForce) -> bool:
    """A stop or target is good till cancelled as well, but waits for its trigger price and has no price in the book."""
    return type_ is OrderType.LIMIT and tif is TimeInForce.GTC


def needs_quote(order: Order) -> bool:
    """Whether it is sent only after a look at the market: it has no price of its own. A stop is meant for a market
    beyond it.
    """
    return order.type is OrderType.MARKET and not order.leg.guards


def needs_dead_man(order: Order) -> bool:
    """Whether the exchange must take it back when all of us are gone. What reduces may go on resting."""
    return rests(order) and not order.reduce_only


def is_overdue(order: Order, now: datetime, options: ExecutionOptions) -> bool:
    """Whether a resting order should have been cancelled long ago: whoever waited for it is gone."""
    if not rests(order) or order.sent_at is None:
        return False
    return now - order.sent_at >= options.rest + timedelta(seconds=options.sending_stale_s)


def is_over(order: Order) -> bool:
    """Whether nothing of it can be on the exchange any more, so that its rest may be asked for again."""
    cancelled = rests(order) and order.state in {OrderState.CANCELED, OrderState.EXPIRED}
    return order.state is OrderState.REJECTED or cancelled


def uncovered_rest(terms: OrderTerms, order: Order, earlier: Sequence[Order]) -> str:
    """Why these terms do not cover `order` after the `earlier` attempts; empty when they do."""
    if len(earlier) != order.attempt - 1 or not all(is_over(other) for other in earlier):
        return "an earlier attempt under this permit may still be on the exchange"
    filled = sum((other.filled_qty for other in earlier), Decimal(0))
    if filled + order.qty > terms.qty:
        return f"with the {filled} filled already, {order.qty} is more than the {terms.qty} permitted"
    if (order.limit_price - terms.limit_price) * terms.side.sign > 0:
        return f"the price {order.limit_price} is beyond the bound of {terms.limit_price}"
    return ""


def first_attempt(terms: OrderTerms, quote: Quote | None, options: ExecutionOptions) -> Attempt:
    """The whole quantity, at the price that its kind of order begins with."""
    return Attempt(1, terms.qty, attempt_price(terms, 1, quote, options))


def after_refusal(order: Order) -> Attempt:
    """The same again under the next number."""
    return Attempt(order.attempt + 1, order.qty, order.limit_price)


def after_rest(
    intent: Intent, terms: OrderTerms, order: Order, quote: Quote | None, options: ExecutionOptions
) -> Attempt | Remainder:
    """What follows a resting order that is final: an attempt for the rest of it, or why there is none."""
    left = order.qty - order.filled_qty
    if left <= 0:
        return Remainder(Decimal(0), "all of it was filled")
    if order.attempt >= options.max_attempts:
        return Remainder(left, f"{options.max_attempts} attempts were made")
    following = Attempt(order.attempt + 1, left, attempt_price(terms, order.attempt + 1, quote, options))
    smallest = intent.min_notional
    if smallest is None or terms.reduce_only or left * following.limit_price >= smallest:
        return following
    if left * terms.limit_price >= smallest:
        return Attempt(following.number, left, terms.limit_price)
    return Remainder(left, f"it is worth less than the exchange's minimum of {smallest}")


def attempt_price(terms: OrderTerms, attempt: int, quote: Quote | None, options: ExecutionOptions) -> Decimal:
    """The limit price of an attempt, never beyond the permit's bound.

    What rests joins the best price of its own side first, and goes to the bound at last; everything else, or
    without a quote, is priced at the bound.
    """
    bound = terms.limit_price
    if not is_resting_kind(terms.type, terms.tif) or quote is None or attempt >= options.max_attempts:
        return bound
    return min(bound, quote.bid) if terms.side is Side.BUY else max(bound, quote.ask)


def beyond_bound(terms: OrderTerms, quote: Quote) -> bool:
    """Whether a market order would begin to fill at a price worse than the permit's bound."""
    best = quote.ask if terms.side is Side.BUY else quote.bid
    return (best - terms.limit_price) * terms.side.sign > 0
