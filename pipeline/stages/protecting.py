"""Protecting positions: a stop and a target rest on the exchange for each, right after its entry has filled.

Called where the entry's fill was booked, and every so often for what an accident has left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import dropwhile, groupby, takewhile
from typing import TypeVar

from pipeline.domain.decisions import Origin
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, InvariantBroken, UnknownSymbol
from pipeline.domain.events import EventName, Events
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order
from pipeline.domain.ports import Clock, Ledger, MarketData, Quote, Unit, Venue
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side
from pipeline.execution.accounts import filled_unbooked
from pipeline.execution.booking import order_fields
from pipeline.execution.dust import remainder, unorderable, was_refused
from pipeline.execution.protection import (
    ANSWERS_WITHIN,
    Ask,
    CarryOn,
    Exit,
    Held,
    Levels,
    Place,
    ProtectionRules,
    Step,
    TakeBack,
    is_new_guard,
    key_of,
    steps,
    still_in,
    trailed,
)
from pipeline.execution.resolver import Resolver
from pipeline.stages.calm import Calm, scenes
from pipeline.stages.exits import Exits, Seen, seen
from pipeline.stages.validate import Outside, Validate

ROUNDS = 3
"""A refused stop makes a close of it, a stop that is placed makes the one before it superfluous: then all is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protector:
    """Keeps one account's positions protected. Safe to call twice, at once, anywhere: the ledger is the lock. For
    `left_for` a new order or position is left to whoever sent or filled it, but for `protect`.
    """

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
    named: set[object] = field(default_factory=set)
    calm: Calm = field(default_factory=Calm)
    left_for: timedelta = timedelta(0)

    # ------------------------------------------------------------------------------------- every so often

    def cycle(self) -> Sequence[str]:
        """Look at every position and every guard; the symbols on which something was amiss.

        Positions without a stop come first: neither the exchange's lists nor those that have one make them wait, and a
        cycle that is cut off by its time limit has seen to them. Next come those that only the exchange knows of yet:
        whoever sent their entry may be dead. Trouble with one symbol keeps no other from its stop.
        Raises: ExchangeUnavailable, ExchangeRefused, InvariantBroken, UnknownSymbol at the end; LedgerUnavailable.
        """
        amiss: dict[str, None] = {}
        bare, trouble = self._first(amiss)
        self.exits.conclude()
        trouble += _in_turn(self._ask_about_the_gone, [self.account])
        trouble += self._protect_each([each for each in self._restless() if each not in bare], amiss)
        if trouble:
            raise trouble[0]
        return list(amiss)

    def catch_up(self) -> None:
        """The beginning of a cycle alone: what has no stop, whoever knows of it. Raises as `cycle` does."""
        for error in self._first({})[1]:
            raise error

    def _first(self, amiss: dict[str, None]) -> tuple[Sequence[str], list[Exception]]:
        """Protect what cannot wait; the symbols that had no stop by the ledger, and what was raised."""
        bare = self._bare()
        trouble = [*self._protect_each(bare, amiss)]
        return bare, [*trouble, *_in_turn(lambda account: self._take_in(account, amiss), [self.account])]

    def _protect_each(self, symbols: Sequence[str], amiss: dict[str, None]) -> Iterator[Exception]:
        """Protect them in turn; what was raised. Where something was to be done is noted in `amiss`."""
        return _in_turn(
            lambda symbol: amiss.update({symbol: None}) if self.protect(symbol) else None, symbols
        )

    def _bare(self) -> Sequence[str]:
        """The symbols whose position has no stop that waits, and something is to be done about it."""
        with self.ledger.read() as unit:
            since = unit.positions.unprotected(self.account)
            symbols = [each for each, opened_at in since.items() if not self._is_left(opened_at)]
            return [each for each in symbols if self._follows_the_market or self._is_restless(unit, each)]

    def _is_left(self, since: datetime) -> bool:
        """To whoever sent or filled it just now, and has its rest behind the entries that follow. What was filled in
        the future, by a clock that is ahead of ours, is left to nobody.
        """
        return timedelta(0) <= self.clock.now() - since < self.left_for

    def _restless(self) -> Sequence[str]:
        """The symbols on which something is to be done, by one look at the ledger."""
        with self.ledger.read() as unit:
            every = scenes(unit, self.account, lambda symbol: self._beside(symbol).instrument)
            found = {
                symbol: scene
                for symbol, scene in every.items()
                if scene.position is None or not self._is_left(scene.position.opened_at)
            }
            if self._follows_the_market:
                return list(found)
            return self.calm.restless(found, lambda symbol: self._is_restless(unit, symbol))

    def _is_restless(self, unit: Unit, symbol: str) -> bool:
        try:
            return bool(self._planned(unit, symbol, self._seen(unit, symbol), None))
        except (ExchangeUnavailable, ExchangeRefused, UnknownSymbol):
            return True  # protecting it says what is wrong

    def _take_in(self, account: str, amiss: dict[str, None]) -> None:
        """Book what the exchange shows to be filled, and protect it, without waiting for whoever sent it."""
        for order in filled_unbooked(self.ledger, self.venue, account, self._is_left):
            trouble = [*_in_turn(self.resolver.look, [order]), *self._protect_each([order.symbol], amiss)]
            for error in trouble:
                self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))

    def _ask_about_the_gone(self, account: str) -> None:
        """Ask what became of the guards that the exchange no longer holds."""
        with self.ledger.read() as unit:
            waiting = [each for each in unit.orders.briefs(account) if each.waits]
        if not waiting:
            return
        there = self.venue.waiting(sorted({each.symbol for each in waiting}))
        missed = [each.client_order_id for each in waiting if each.client_order_id not in there]
        with self.ledger.read() as unit:
            gone = [order for order in map(unit.orders.get, missed) if order is not None and order.waits]
        for error in _in_turn(self.resolver.ask, gone):
            raise error

    # -------------------------------------------------------------------------------------- one position

    def protect(self, symbol: str) -> bool:
        """Place what is missing for the symbol's position, take back what is superfluous. Whether anything was.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable, UnknownSymbol.
        """
        done: set[object] = set()
        for number in range(ROUNDS):
            quote = self._quote(symbol)
            nobody_has_looked = number > 0 or self._follows_the_market
            if nobody_has_looked and not self._is_wanting(symbol, quote, done):
                break
            wanted, is_all = self._begin(symbol, quote, done)
            done.update(map(key_of, wanted))
            self._do_all(symbol, [*dropwhile(is_new_guard, wanted)])
            if is_all or not wanted:
                break
        return bool(done)

    def _is_wanting(self, symbol: str, quote: Quote | None, done: Collection[object]) -> bool:
        """Whether something is to be done, by a look that costs nobody a wait for the disk."""
        with self.ledger.read() as unit:
            planned = self._planned(unit, symbol, self._seen(unit, symbol), quote)
        return any(key_of(step) not in done for step in planned)

    def _seen(self, unit: Unit, symbol: str) -> Seen | None:
        position = unit.positions.open_of(self.account, symbol)
        return None if position is None else seen(unit, position)

    def _begin(
        self, symbol: str, quote: Quote | None, done: Collection[object]
    ) -> tuple[Sequence[Step], bool]:
        """What is wanted; guards that come first are opened in the transaction that looks, and sent. Whether they are
        all, and the position is protected.
        """
        wanted: list[Step] = []

        def first(unit: Unit, found: Seen | None) -> Sequence[Place]:
            planned = self._planned(unit, symbol, found, quote)
            wanted.extend(step for step in planned if key_of(step) not in done)
            return [step for step in takewhile(is_new_guard, wanted) if isinstance(step, Place)]

        stand = self.exits.make(symbol, self._beside(symbol), first)
        return wanted, stand and all(map(is_new_guard, wanted))

    def _quote(self, symbol: str) -> Quote | None:
        """Only what follows the market needs one, and nothing waits for it."""
        if not self._follows_the_market:
            return None
        try:
            return self.market.quote(symbol)
        except (ExchangeUnavailable, ExchangeRefused):
            return None

    @property
    def _follows_the_market(self) -> bool:
        return bool(self.rules.max_hold or self.rules.trail)

    def _planned(self, unit: Unit, symbol: str, found: Seen | None, quote: Quote | None) -> Sequence[Step]:
        working = unit.orders.unsettled(self.account, symbol)
        resting = [each for each in working if each.waits]
        if found is None:
            return [TakeBack(each) for each in resting]
        position, instrument = found.position, self._instrument(symbol)
        qty = instrument.round_qty_down(min(position.qty, instrument.max_qty))
        nothing = unorderable(position, instrument)
        if nothing:
            self._name_dust(position, instrument, nothing)
            return ()
        why = remainder(position, found.opening, instrument, working)
        held = self._swept(self._held(unit, found, resting, qty, quote), instrument, why)
        return steps(held, self.clock.now(), self.rules.patience)

    def _swept(self, held: Held, instrument: Instrument, why: str) -> Held:
        """With its close, if it is only a remainder, for that reason. The price is found when it is placed."""
        if not why:
            return held
        kept, position = was_refused(held.exits), held.position
        self._name_dust(
            position, instrument, f"{why}: {'the exchange refuses to close it' if kept else 'closed'}"
        )
        if kept:
            return held
        return replace(
            held, overdue=why, close_at=held.close_at or position.entry_price, closed_by=Origin.DUST
        )

    def _name_dust(self, position: Position, instrument: Instrument, why: str) -> None:
        """Once for each quantity, in each process."""
        named = (position.position_id, position.qty, why)
        if named not in self.named:
            self.named.add(named)
            self.events.emit(
                EventName.DUST,
                position_id=position.position_id,
                symbol=position.symbol,
                qty=position.qty,
                least=instrument.min_qty,
                why=why,
            )

    def _held(
        self, unit: Unit, found: Seen, resting: Sequence[Order], qty: Decimal, quote: Quote | None
    ) -> Held:
        ordered = unit.orders.of_exits(found.position.opened_by) if found.exits else ()
        last = {order.decision_id: order for order in ordered}
        held = Held(
            position=found.position,
            qty=qty,
            levels=self._levels(found.position, found.opening),
            exits=[Exit(each, last.get(each.decision_id)) for each in found.exits],
            strays=[each for each in resting if each.decision_id not in last],
        )
        return held if quote is None else self._followed(held, quote)

    def _followed(self, held: Held, quote: Quote) -> Held:
        """With its stop behind the market, and its close if it was held long enough."""
        position, instrument = held.position, self._instrument(held.position.symbol)
        price = self._best(position, quote)
        if self.rules.trail:
            level = trailed(held, price, self.rules.trail, self.rules.trail_step)
            stop = instrument.round_price_nearest(level)
            if stop != held.levels.stop:
                held = replace(held, levels=replace(held.levels, stop=stop, why="the stop trails the market"))
        age = quote.occurred_at - position.opened_at
        if self.rules.max_hold and age >= self.rules.max_hold:
            why = f"held for {age.total_seconds():.0f} s"
            held = replace(held, overdue=why, close_at=self._worst(position, price))
        return held

    def _levels(self, position: Position, opening: Intent | None) -> Levels:
        if opening is not None and opening.stop_loss is not None:
            return Levels(stop=opening.stop_loss, target=opening.take_profit)
        away = position.entry_price * (1 - position.side.sign * self.rules.default_stop)
        instrument = self._instrument(position.symbol)
        stop = max(instrument.price_tick, instrument.round_price_nearest(away))
        return Levels(stop=stop, target=None, why="the default stop: its decision gave none")

    def _instrument(self, symbol: str) -> Instrument:
        return self.market.known_instruments().find(symbol)

    # ----------------------------------------------------------------------------------------- doing it

    def _do_all(self, symbol: str, wanted: Sequence[Step]) -> None:
        """In turn; stop and target that stand beside each other are opened together."""
        for are_guards, beside in groupby(wanted, is_new_guard):
            found = list(beside)
            if are_guards:
                self._make(symbol, [each for each in found if isinstance(each, Place)], self._beside(symbol))
            else:
                for step in found:
                    self._do(symbol, step)

    def _do(self, symbol: str, step: Step) -> None:
        match step:
            case Ask(order):
                self._ask(order)
            case TakeBack(order):
                self._take_back(order)
            case CarryOn(exit):
                self.exits.carry_on(exit.decision)
            case Place():
                self._close(symbol, step)

    def _ask(self, order: Order) -> None:
        """Without an answer another stop is placed: both only reduce."""
        try:
            self.resolver.ask(order, sender_gone_after=ANSWERS_WITHIN)
        except (ExchangeUnavailable, ExchangeRefused) as error:
            self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))

    def _take_back(self, order: Order) -> None:
        self.venue.cancel(order)
        self.events.emit(
            EventName.ORDER_CANCEL, **order_fields(order), why="it protects nothing any more", problem=""
        )
        self.resolver.ask(order)

    def _beside(self, symbol: str) -> Outside:
        """Guards need no quote: they must not wait for one, least of all when the exchange is slow. Nor does what is to
        be taken back need an instrument.
        """
        with suppress(ExchangeUnavailable, ExchangeRefused, UnknownSymbol):
            return Outside(instrument=self._instrument(symbol))
        return Outside()

    def _close(self, symbol: str, step: Place) -> None:
        outside = self.governor.look_outside(symbol)
        if step.origin is Origin.DUST:
            if outside.quote is None:
                return
            step = self._priced(symbol, step, outside.quote)
        self._make(symbol, [step], outside)

    def _make(self, symbol: str, places: Sequence[Place], outside: Outside) -> None:
        quote = self._quote(symbol)

        def still_wanted(unit: Unit, found: Seen | None) -> Sequence[Place]:
            planned = self._planned(unit, symbol, found, quote)
            return [each for each in places if still_in(each, planned)]

        self.exits.make(symbol, outside, still_wanted)

    def _priced(self, symbol: str, step: Place, quote: Quote) -> Place:
        """At most the slippage beyond the side that it is sold to, or bought from."""
        with self.ledger.read() as unit:
            position = unit.positions.open_of(self.account, symbol)
        if position is None:
            return step
        return replace(step, price=self._worst(position, self._best(position, quote)))

    def _best(self, position: Position, quote: Quote) -> Decimal:
        """What a close of the position would get now."""
        return quote.bid if position.side is Side.BUY else quote.ask

    def _worst(self, position: Position, price: Decimal) -> Decimal:
        worst = price * (1 - position.side.sign * self.rules.slippage)
        return self._instrument(position.symbol).round_price_nearest(worst)


Item = TypeVar("Item")


def _in_turn(do: Callable[[Item], object], items: Iterable[Item]) -> Iterator[Exception]:
    """Do it for each; what was raised."""
    for item in items:
        try:
            do(item)
        except (ExchangeUnavailable, ExchangeRefused, InvariantBroken, UnknownSymbol) as error:
            yield error
