"""Protecting positions: a stop and a target rest on the exchange for each, right after its entry has filled.

Called where the entry's fill was booked, and every so often for what an accident has left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, InvariantBroken
from pipeline.domain.events import EventName, Events
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.instruments import Instrument
from pipeline.domain.orders import Order
from pipeline.domain.ports import Clock, Ledger, MarketData, Unit, Venue
from pipeline.domain.positions import Position
from pipeline.execution.booking import order_fields
from pipeline.execution.protection import Ask, CarryOn, Exit, Held, Levels, Place, Step, TakeBack, steps
from pipeline.execution.resolver import Resolver
from pipeline.stages.exits import Exits, opening_intent
from pipeline.stages.validate import Outside, Validate

ROUNDS = 3
"""A refused stop makes a close of it, a stop that is placed makes the one before it superfluous: then all is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionRules:
    """`default_stop` is a fraction of the entry price, for a position whose decision gave no stop; `patience` is how
    long a stop may be refused before the position is closed instead.
    """

    default_stop: Decimal
    patience: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Protector:
    """Keeps one account's positions protected. Safe to call twice, at once, anywhere: the ledger is the lock."""

    ledger: Ledger
    venue: Venue
    market: MarketData
    clock: Clock
    events: Events
    account: str
    rules: ProtectionRules
    governor: Validate
    resolver: Resolver
    exits: Exits

    # ------------------------------------------------------------------------------------- every so often

    def cycle(self) -> Sequence[str]:
        """Look at every position and every guard; the symbols on which something was amiss.

        Trouble with one symbol keeps no other from its stop. Raises: ExchangeUnavailable, ExchangeRefused,
        InvariantBroken after all were looked at; LedgerUnavailable.
        """
        self.exits.conclude()
        trouble = [*_in_turn(self.resolver.ask, self._gone())]
        with self.ledger.read() as unit:
            symbols = _concerned(unit, self.account)
        amiss: list[str] = []
        trouble += _in_turn(lambda symbol: amiss.append(symbol) if self.protect(symbol) else None, symbols)
        if trouble:
            raise trouble[0]
        return amiss

    def _gone(self) -> Sequence[Order]:
        """The guards that the exchange no longer holds."""
        with self.ledger.read() as unit:
            resting = [each for each in unit.orders.unsettled(self.account) if each.waits]
        there = self._there({each.symbol for each in resting})
        return [each for each in resting if each.client_order_id not in there]

    def _there(self, symbols: Collection[str]) -> frozenset[ClientOrderId]:
        return self.venue.waiting(sorted(symbols)) if symbols else frozenset()

    # -------------------------------------------------------------------------------------- one position

    def protect(self, symbol: str) -> bool:
        """Place what is missing for the symbol's position, take back what is superfluous. Whether anything was.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable, UnknownSymbol.
        """
        done: set[object] = set()
        for _ in range(ROUNDS):
            wanted = [step for step in self._steps(symbol) if _key(step) not in done]
            if not wanted:
                break
            for step in wanted:
                done.add(_key(step))
                self._do(symbol, step)
        return bool(done)

    def _steps(self, symbol: str) -> Sequence[Step]:
        with self.ledger.read() as unit:
            return self._planned(unit, symbol)

    def _planned(self, unit: Unit, symbol: str) -> Sequence[Step]:
        position = unit.positions.open_of(self.account, symbol)
        resting = [each for each in unit.orders.unsettled(self.account, symbol) if each.waits]
        if position is None:
            return [TakeBack(each) for each in resting]
        held = self._held(unit, position, resting)
        return steps(held, self.clock.now(), self.rules.patience)

    def _held(self, unit: Unit, position: Position, resting: Sequence[Order]) -> Held:
        decisions = unit.decisions.exits_of(position.opened_by)
        last = {order.decision_id: order for order in unit.orders.of_exits(position.opened_by)}
        exits = [Exit(each, last.get(each.decision_id)) for each in decisions]
        return Held(
            position=position,
            levels=self._levels(unit, position),
            exits=exits,
            strays=[each for each in resting if each.decision_id not in last],
        )

    def _levels(self, unit: Unit, position: Position) -> Levels:
        intent = opening_intent(unit, position.opened_by)
        if intent is not None and intent.stop_loss is not None:
            return Levels(stop=intent.stop_loss, target=intent.take_profit)
        away = position.entry_price * (1 - position.side.sign * self.rules.default_stop)
        instrument = self._instrument(position.symbol)
        stop = max(instrument.price_tick, instrument.round_price_nearest(away))
        return Levels(stop=stop, target=None, why="the default stop: its decision gave none")

    def _instrument(self, symbol: str) -> Instrument:
        return self.market.instruments().find(symbol)

    # ----------------------------------------------------------------------------------------- doing it

    def _do(self, symbol: str, step: Step) -> None:
        match step:
            case Ask(order):
                self._ask(order)
            case TakeBack(order):
                self._take_back(order)
            case CarryOn(exit):
                self.exits.carry_on(exit.decision)
            case Place():
                self._place(symbol, step)

    def _ask(self, order: Order) -> None:
        """Without an answer another stop is placed: both only reduce."""
        try:
            self.resolver.ask(order)
        except (ExchangeUnavailable, ExchangeRefused) as error:
            self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))

    def _take_back(self, order: Order) -> None:
        self.venue.cancel(order)
        self.events.emit(
            EventName.ORDER_CANCEL, **order_fields(order), why="it protects nothing any more", problem=""
        )
        self.resolver.ask(order)

    def _place(self, symbol: str, step: Place) -> None:
        outside = self._outside(symbol, step)
        self.exits.make(symbol, step, outside, lambda unit: step in self._planned(unit, symbol))

    def _outside(self, symbol: str, step: Place) -> Outside:
        """A guard needs no quote: it must not wait for one, least of all when the exchange is slow."""
        if not step.leg.guards:
            return self.governor.look_outside(symbol)
        return Outside(instrument=self._instrument(symbol))


Item = TypeVar("Item")


def _in_turn(do: Callable[[Item], object], items: Iterable[Item]) -> Iterator[Exception]:
    """Do it for each; what was raised."""
    for item in items:
        try:
            do(item)
        except (ExchangeUnavailable, ExchangeRefused, InvariantBroken) as error:
            yield error


def _concerned(unit: Unit, account: str) -> Sequence[str]:
    """Symbols with a position, or with a guard that may have outlived one."""
    held = {position.symbol for position in unit.positions.all_open(account)}
    guarded = {each.symbol for each in unit.orders.unsettled(account) if each.leg.guards}
    return sorted(held | guarded)


def _key(step: Step) -> object:
    """What is done at most once in a call: the next one comes soon, and the exchange needs its time."""
    match step:
        case Ask(order) | TakeBack(order):
            return type(step), order.client_order_id
        case CarryOn(exit):
            return type(step), exit.decision.decision_id
    return step.leg, step.type
