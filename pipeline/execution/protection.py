"""What a position needs on the exchange, and what of it is missing. Pure.

A position is protected when a stop of its whole quantity rests at its level; so does its target, if it has one. What is
missing is placed first and what is superfluous taken back afterwards: both only reduce, so two at once do no harm, and
none for a moment could.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import takewhile

from pipeline.domain import ids
from pipeline.domain.decisions import Decision, Origin
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Leg, OrderType
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.positions import Position

WOULD_TRIGGER = "-2021"
"""The exchange's word for a level that the market has passed already."""

ANSWERS_WITHIN = timedelta(seconds=2)
"""How long the sender of an exit is waited for. Then the exchange is asked; without its word another one is placed."""

GUARDS = {Leg.STOP: OrderType.STOP_MARKET, Leg.TARGET: OrderType.TAKE_PROFIT_MARKET}
ORIGINS = {
    Leg.STOP: (Origin.STOP,),
    Leg.TARGET: (Origin.TARGET,),
    Leg.CLOSE: (Origin.TIME, Origin.DUST),
}
"""Whose exits a leg has; the first, unless a step says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionRules:
    """`default_stop` is a fraction of the entry price, for a position whose decision gave no stop; `patience` is how
    long a stop may be refused before the position is closed instead. `max_hold` closes a position by time, `trail` (a
    fraction of the price) lets the stop follow it by steps of `trail_step`; neither does when it is 0. `slippage` is
    how much worse than the quote, as a fraction, an exit by time may fill.
    """

    default_stop: Decimal
    patience: timedelta
    max_hold: timedelta = timedelta(0)
    trail: Decimal = Decimal(0)
    trail_step: Decimal = Decimal("0.001")
    slippage: Decimal = Decimal("0.0015")


def exit_id(position: Position, number: int, at: datetime) -> DecisionId:
    """The decision of a position's exit that was opened in the second of `at`, `number` of them being there before.

    It follows from the position: two who want the same exit name it alike, and a ledger that was restored from before
    it knows it again.
    """
    return ids.decision_id(
        position.symbol, at.replace(microsecond=0), f"{position.position_id} exit {number}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Where the position is to be left, in quote, on the instrument's tick. `why` says where the stop comes from."""

    stop: Decimal
    target: Decimal | None
    why: str = "the signal's stop"


@dataclass(frozen=True, slots=True)
class Exit:
    """An exit's decision with its last attempt; None while nothing has been ordered."""

    decision: Decision
    order: Order | None

    @property
    def is_pending(self) -> bool:
        """Whether somebody is about to order, or waits for the answer."""
        state = self.order.state if self.order else OrderState.INTENT
        return self.decision.is_open and state in {OrderState.INTENT, OrderState.SENDING}

    @property
    def can_be_carried_on(self) -> bool:
        return self.is_pending and (self.order is None or self.order.state is OrderState.INTENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position, its levels, and every exit that was ever made for it, oldest first. `qty` is what of it can be
    ordered; `strays` are guards that rest on its symbol and belong to no exit of it; `overdue` says why it is to be
    closed now, at `close_at` or better, and `closed_by` on whose account.
    """

    position: Position
    qty: Decimal
    levels: Levels
    exits: Sequence[Exit]
    strays: Sequence[Order] = ()
    overdue: str = ""
    close_at: Decimal | None = None
    closed_by: Origin = Origin.TIME

    def of(self, leg: Leg) -> list[Exit]:
        return [each for each in self.exits if each.decision.origin in ORIGINS[leg]]

    def resting(self, leg: Leg) -> list[Order]:
        return [each.order for each in self.of(leg) if each.order is not None and each.order.waits]


@dataclass(frozen=True, slots=True)
class Place:
    """An exit is to be made now, for the whole position."""

    leg: Leg
    type: OrderType
    qty: Decimal
    price: Decimal
    why: str
    by: Origin | None = None

    @property
    def origin(self) -> Origin:
        return self.by or ORIGINS[self.leg][0]


@dataclass(frozen=True, slots=True)
class Ask:
    """Nobody knows what became of it: the exchange does."""

    order: Order


@dataclass(frozen=True, slots=True)
class CarryOn:
    """Its permit lives and nothing was sent."""

    exit: Exit


@dataclass(frozen=True, slots=True)
class TakeBack:
    """It protects nothing any more, or something else does."""

    order: Order


Step = Place | Ask | CarryOn | TakeBack


def steps(held: Held, now: datetime, patience: timedelta) -> list[Step]:
    """What is to be done now, in this order. Empty when the position is protected."""
    unknown = [each.order for each in held.exits if each.order and is_doubtful(each.order, now)]
    newest = {order.leg: order for order in unknown}  # the resolver asks about the others
    bare = now - bare_since(held, now)
    return [*map(Ask, newest.values()), *_known_steps(_without(held, unknown), bare, patience)]


def _known_steps(held: Held, bare: timedelta, patience: timedelta) -> list[Step]:
    """By the exits whose fate is known."""
    instead = at_once(held, bare, patience)
    if instead is not None:
        pending = any(each.is_pending for each in held.exits)
        return [*_carried_on(held.exits)] if pending else [instead]
    guards = [*_guard(held, Leg.STOP, held.levels.stop), *_guard(held, Leg.TARGET, held.levels.target)]
    return [*guards, *_in_time(held), *map(TakeBack, held.strays)]


def is_doubtful(order: Order, now: datetime) -> bool:
    """Whether only the exchange can say what became of it: its sender does not know, or has not said so for long."""
    if order.state is OrderState.SENDING:
        return order.sent_at is not None and now - order.sent_at >= ANSWERS_WITHIN
    return order.state is OrderState.UNKNOWN


def _in_time(held: Held) -> Iterator[Step]:
    """The close of a position that was held long enough; its guards stay until it has filled."""
    if not held.overdue or held.close_at is None:
        return
    if any(each.is_pending for each in held.of(Leg.CLOSE)):
        yield from _carried_on(held.of(Leg.CLOSE))
    else:
        yield Place(Leg.CLOSE, OrderType.LIMIT, held.qty, held.close_at, held.overdue, by=held.closed_by)


def _without(held: Held, unknown: Sequence[Order]) -> Held:
    known = [each for each in held.exits if each.order not in unknown]
    return replace(held, exits=known)


def _carried_on(exits: Sequence[Exit]) -> Iterator[CarryOn]:
    return (CarryOn(each) for each in exits if each.can_be_carried_on)


def _guard(held: Held, leg: Leg, level: Decimal | None) -> Iterator[Step]:
    resting = held.resting(leg)
    if level is None:
        yield from map(TakeBack, resting)
        return
    right = [each for each in resting if each.qty == held.qty and each.limit_price == level]
    if right:
        yield from (TakeBack(each) for each in resting if each is not right[0])
    elif any(each.is_pending for each in held.of(leg)):
        yield from _carried_on(held.of(leg))
    else:
        yield Place(
            leg, GUARDS[leg], held.qty, level, held.levels.why if leg is Leg.STOP else "the signal's target"
        )


def at_once(held: Held, bare: timedelta, patience: timedelta) -> Place | None:
    """The position is to be closed at the market instead: its level is passed, or nobody takes its stop."""
    if held.resting(Leg.STOP):
        return _passed(held, Leg.TARGET, held.levels.target)
    if bare > patience:
        why = f"nobody has taken its stop for {bare.total_seconds():.0f} s"
        return Place(Leg.STOP, OrderType.MARKET, held.qty, held.levels.stop, why)
    return _passed(held, Leg.STOP, held.levels.stop)


def _passed(held: Held, leg: Leg, level: Decimal | None) -> Place | None:
    tried = [each.order for each in held.of(leg) if each.order is not None and each.order.type.waits]
    last = tried[-1] if tried else None
    if last is None or last.state is not OrderState.REJECTED or last.limit_price != level:
        return None
    if not last.detail.startswith(WOULD_TRIGGER):
        return None
    return Place(
        leg,
        OrderType.MARKET,
        held.qty,
        last.limit_price,
        f"the market is beyond its {leg} of {level} already",
    )


def bare_since(held: Held, now: datetime) -> datetime:
    """Since when a stop has been tried for in vain, by our clock, whatever is known of what became of it. Now if it has
    not been tried twice: of one alone its sender may have died, and the exchange has not been asked.
    """
    tries = [*takewhile(_never_rested, reversed(held.of(Leg.STOP)))]
    return tries[-1].decision.enqueued_at if len(tries) > 1 else now


def _never_rested(each: Exit) -> bool:
    return each.order is None or not each.order.exchange_order_id


def trailed(held: Held, price: Decimal, trail: Decimal, step: Decimal) -> Decimal:
    """Where the stop belongs once the market stands at `price`: `trail` (a fraction) behind it, never moved back, and
    not moved at all for less than `step` (a fraction).
    """
    sign = held.position.side.sign
    levels = [held.levels.stop, *(each.limit_price for each in held.resting(Leg.STOP))]
    now = max(levels, key=lambda level: level * sign)
    wanted = price * (1 - sign * trail)
    return wanted if (wanted - now) * sign >= now * step else now


def is_new_guard(step: Step) -> bool:
    return isinstance(step, Place) and step.leg.guards


def still_in(step: Place, planned: Sequence[Step]) -> bool:
    """The market moves between two looks: the same leg and quantity is the same exit."""
    return any(
        isinstance(each, Place) and (each.leg, each.type, each.qty) == (step.leg, step.type, step.qty)
        for each in planned
    )


def key_of(step: Step) -> object:
    """What is done at most once in a call: the next one comes soon, and the exchange needs its time."""
    match step:
        case Ask(order) | TakeBack(order):
            return type(step), order.client_order_id
        case CarryOn(exit):
            return type(step), exit.decision.decision_id
    return step.leg, step.type, step.qty
