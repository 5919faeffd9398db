"""Remainders of positions: what is too small to be worth its place, and what is too small to be ordered. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.domain.decisions import Origin
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.permits import normal
from pipeline.domain.positions import Position
from pipeline.execution.protection import Exit


def unorderable(position: Position, instrument: Instrument) -> str:
    """Why no order can take it away, or nothing: the exchange knows no such quantity."""
    if instrument.round_qty_down(position.qty) >= max(instrument.min_qty, instrument.qty_step):
        return ""
    return f"below the exchange's smallest quantity {normal(instrument.min_qty)}: it is kept until that is lowered"


def remainder(
    position: Position, opening: Intent | None, instrument: Instrument, working: Sequence[Order]
) -> str:
    """Why it is to be swept, or nothing. What a decision has ordered in full is no remainder, however small; nor is
    anything while an order works on it.

    Unit: worth is quantity · mean entry price, in quote.
    """
    worth = position.qty * position.entry_price
    whole = opening is not None and position.qty >= opening.qty
    if whole or worth >= instrument.min_notional or any(not each.waits for each in working):
        return ""
    return (
        f"worth {normal(round(worth, 2))}, below the exchange's minimum of {normal(instrument.min_notional)}"
    )


def was_refused(exits: Sequence[Exit]) -> bool:
    """Whether the exchange has refused to take it away: then it stays, and is not tried again."""
    swept = [each.order for each in exits if each.decision.origin is Origin.DUST and each.order is not None]
    return any(order.state is OrderState.REJECTED for order in swept)
