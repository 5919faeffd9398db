"""Taking back what a kill switch covers. Cancels need no permit, and pass in every trading state; what they
touch is only what the ledger knows as an open order of ours that adds to a position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.decisions import Stage
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, UnknownSymbol
from pipeline.domain.events import EventName, Events
from pipeline.domain.orders import Order
from pipeline.domain.ports import Ledger, Unit, Venue
from pipeline.execution.booking import order_fields


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Orders whose cancellation the exchange took, and those `left` where it did not: upkeep asks again each second."""

    taken: Sequence[Order]
    left: Sequence[Order]


def cancel_covered(ledger: Ledger, venue: Venue, account: str, events: Events) -> Cancelled:
    """Cancel every open entry order that a switch covers.

    The resolver learns what became of them. Safe to repeat. Raises: LedgerUnavailable.
    """
    with ledger.read() as unit:
        covered = covered_orders(unit, account)
    taken = [order for order in covered if _cancel(venue, order, events)]
    return Cancelled(taken, [order for order in covered if order not in taken])


def covered_orders(unit: Unit, account: str) -> Sequence[Order]:
    """Orders that may be open on the exchange, add to a position, and are under a switch that is on."""
    on = unit.switches.on()
    if not on:
        return ()
    open_ = [each for each in unit.orders.unsettled(account) if each.state.may_be_on_exchange]
    return [
        order
        for order in open_
        if not order.reduce_only
        and any(switch.covers(order.symbol, strategy_of(unit, order)) for switch in on)
    ]


def strategy_of(unit: Unit, order: Order) -> str:
    """The strategy that wanted the order, as its decision tells; empty when it does not."""
    record = unit.stages.get(order.decision_id, Stage.EVALUATE)
    intent = record.output.get("intent") if record is not None else None
    return str(intent.get("strategy", "")) if isinstance(intent, dict) else ""


def _cancel(venue: Venue, order: Order, events: Events) -> bool:
    problem = ""
    try:
        venue.cancel(order)
    except (ExchangeUnavailable, ExchangeRefused, UnknownSymbol) as error:
        problem = str(error)
    events.emit(EventName.ORDER_CANCEL, **order_fields(order), why="kill switch", problem=problem)
    return not problem
