"""Worst cases: what is held, what could still be filled, and what an intent would add. Amounts in quote.

Everything is summed without netting: of two orders that point in opposite directions one may fill alone.
Positions count at their entry price (the intent's own symbol at the ask, if that is higher).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique
from typing import NamedTuple

from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import PermitId
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order
from pipeline.domain.permits import Permit
from pipeline.domain.positions import Position
from pipeline.governor.view import WorldView, is_finite


@unique
class Effect(StrEnum):
    """What an intent would do to the exposure; it decides which rules apply."""

    ADDS = "adds"
    REDUCES = "reduces"
    GUARDS = "guards"


def effect_of(intent: Intent, view: WorldView) -> Effect:
    """`GUARDS` reduces as well, and is the position's own protection: its stop or its target."""
    if not reduces(intent, view):
        return Effect.ADDS
    return Effect.GUARDS if intent.leg.guards else Effect.REDUCES


def reduces(intent: Intent, view: WorldView) -> bool:
    """Reduce-only, against the open position of its symbol, and not larger than it."""
    return intent.reduce_only is True and any(
        position.is_open
        and position.symbol == intent.symbol
        and position.side is intent.side.opposite
        and position.qty.is_finite()
        and 0 < intent.qty <= position.qty
        for position in view.positions or ()
    )


@dataclass(frozen=True, slots=True)
class Touch:
    """A usable best bid and ask: finite, above 0, not crossed."""

    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


def touch(view: WorldView) -> Touch | None:
    """The quote's two prices whatever their age, or None when they cannot be a market."""
    if view.quote is None:
        return None
    bid, ask = view.quote.bid, view.quote.ask
    return Touch(bid, ask) if is_finite(bid) and is_finite(ask) and 0 < bid <= ask else None


def worst_value(intent: Intent, view: WorldView) -> Decimal:
    """What the intent could come to. A sale's limit is its lowest price: a higher ask counts instead."""
    prices = [intent.limit_price, intent.decision_price]
    market = touch(view)
    if market is not None:
        prices.append(market.ask)
    return intent.qty * max(prices)


def worth(qty: Decimal, price: Decimal) -> Decimal:
    """Raises: InvariantBroken when one of them is no stored amount."""
    return sound(qty) * sound(price)


def sound(stored: Decimal) -> Decimal:
    """Raises: InvariantBroken when a stored amount is not a finite number of at least 0."""
    if not (is_finite(stored) and stored >= 0):
        raise InvariantBroken(f"the ledger holds {stored} where an amount should be")
    return stored


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a permit or its order may still add to a symbol."""

    symbol: str
    value: Decimal


Commitments = Mapping[PermitId, Commitment]


def committed(unsettled: Iterable[Order], reserving: Iterable[Permit]) -> Commitments:
    """By permit, so that an order and the permit that it uses count once, with the larger of the two."""
    pending = {
        permit.permit_id: Commitment(permit.terms.symbol, sound(permit.reserved)) for permit in reserving
    }
    for order in unsettled:
        known = pending.get(order.permit_id)
        value = remaining(order)
        if known is None or value > known.value:
            pending[order.permit_id] = Commitment(order.symbol, value)
    return {permit: commitment for permit, commitment in pending.items() if commitment.value > 0}


def remaining(order: Order) -> Decimal:
    """What an order could still add at worst: nothing if it is reduce-only."""
    if order.reduce_only is True:
        return Decimal(0)
    left = max(Decimal(0), sound(order.qty) - sound(order.filled_qty))
    return max(worth(left, order.limit_price), worth(left, order.decision_price))


def held_value(position: Position, intent: Intent, view: WorldView) -> Decimal:
    """A position's value at its entry price, or at the ask where that is known and higher."""
    value = worth(position.qty, position.entry_price)
    market = touch(view) if position.symbol == intent.symbol else None
    return value if market is None else max(value, worth(position.qty, market.ask))


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The account once everything pending is filled, the intent included.

    `pending` is the part whose margin the equity's figures do not show yet; `symbols` all that would be held.
    """

    total: Decimal
    on_symbol: Decimal
    pending: Decimal
    symbols: frozenset[str]


class _Last(NamedTuple):
    """The answer that was computed last."""

    intent: Intent
    view: WorldView
    worst: WorstCase | None


_last: _Last | None = None


def worst_case(intent: Intent, view: WorldView) -> WorstCase | None:
    """None when positions, orders or permits could not be read.

    Five rules ask it one after the other about the same two objects, which nobody changes: it is computed once.
    """
    global _last  # noqa: PLW0603 - one name, set at once: another thread may at worst compute it again
    last = _last
    if last is None or last.intent is not intent or last.view is not view:
        last = _last = _Last(intent, view, _worst_case(intent, view))
    return last.worst


def _worst_case(intent: Intent, view: WorldView) -> WorstCase | None:
    if view.positions is None or view.unsettled is None or view.reserving is None:
        return None
    commitments = committed(view.unsettled, view.reserving)
    own = worst_value(intent, view)
    promised = sum((commitment.value for commitment in commitments.values()), own)
    values = [(position, held_value(position, intent, view)) for position in view.positions]
    on_symbol = [c.value for c in commitments.values() if c.symbol == intent.symbol]
    on_symbol += [value for position, value in values if position.symbol == intent.symbol]
    return WorstCase(
        total=sum((value for _, value in values), promised),
        on_symbol=sum(on_symbol, own),
        pending=promised + _unseen(values, view),
        symbols=frozenset(
            {intent.symbol}
            | {commitment.symbol for commitment in commitments.values()}
            | {position.symbol for position, _ in values}
        ),
    )


def _unseen(values: Iterable[tuple[Position, Decimal]], view: WorldView) -> Decimal:
    """Positions opened after the equity was told: their margin is not in its figures yet."""
    if view.equity is None:
        return Decimal(0)
    told = view.equity.occurred_at
    return sum((value for position, value in values if position.opened_at > told), Decimal(0))
