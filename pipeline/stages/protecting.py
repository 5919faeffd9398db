"""Protecting positions: a stop and a target rest on the exchange for each, right after its entry has filled.

Called where the entry's fill was booked, and every so often for what an accident has left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import dropwhile, groupby, takewhile
from typing import TypeVar

from pipeline.domain.decisions import Origin
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, InvariantBroken, UnknownSymbol
from pipeline.domain.events import EventName, Events
from pipeline.domain.orders import Order
from pipeline.domain.ports import Clock, Ledger, Quote, Unit, Venue
from pipeline.execution.accounts import filled_unbooked
from pipeline.execution.booking import order_fields
from pipeline.execution.protection import (
    ANSWERS_WITHIN,
    Ask,
    CarryOn,
    Place,
    Step,
    TakeBack,
    is_new_guard,
    key_of,
    still_in,
)
from pipeline.execution.resolver import Resolver
from pipeline.stages.calm import Calm, scenes
from pipeline.stages.exits import Exits, Seen
from pipeline.stages.planning import Planner
from pipeline.stages.validate import Outside, Validate

ROUNDS = 3
"""A refused stop makes a close of it, a stop that is placed makes the one before it superfluous: then all is said."""


@dataclass(frozen=True, slots=True)
class Urgent:
    """A position without a stop, or a fill that nobody has booked. `deal` does what is to be done about it, if that is
    not done by then, whoever calls it and when. It raises as `Protector.protect` does.
    """

    symbol: str
    deal: Callable[[], object]


Dealing = Callable[[Urgent], object]
"""When to deal with it: at once, or by leaving it to somebody. It may raise as `Urgent.deal` does."""


def at_once(urgent: Urgent) -> None:
    """The plain `Dealing`."""
    urgent.deal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Protector:
    """Keeps one account's positions protected. Safe to call twice, at once, anywhere: the ledger is the lock. For
    `left_for` a new order or position is left to whoever sent or filled it, but for `protect`.
    """

    ledger: Ledger
    venue: Venue
    clock: Clock
    events: Events
    account: str
    planner: Planner
    governor: Validate
    resolver: Resolver
    exits: Exits
    calm: Calm = field(default_factory=Calm)
    left_for: timedelta = timedelta(0)

    # ------------------------------------------------------------------------------------- every so often

    def cycle(self, dealing: Dealing = at_once) -> Sequence[str]:
        """Look at every position and every guard; the symbols on which something was amiss.

        Positions without a stop come first: neither the exchange's lists nor those that have one make them wait, and a
        cycle that is cut off by its time limit has seen to them. Next come those that only the exchange knows of yet:
        whoever sent their entry may be dead. Trouble with one symbol keeps no other from its stop.
        Raises: ExchangeUnavailable, ExchangeRefused, InvariantBroken, UnknownSymbol at the end; LedgerUnavailable.
        """
        amiss: dict[str, None] = {}
        bare, trouble = self._first(amiss, dealing)
        self.exits.conclude()
        trouble += _in_turn(self._ask_about_the_gone, [self.account])
        trouble += self._protect_each([each for each in self._restless() if each not in bare], amiss)
        if trouble:
            raise trouble[0]
        return list(amiss)

    def catch_up(self, dealing: Dealing = at_once) -> None:
        """The beginning of a cycle alone: what has no stop, whoever knows of it. Raises as `cycle` does."""
        for error in self._first({}, dealing)[1]:
            raise error

    def _first(self, amiss: dict[str, None], dealing: Dealing) -> tuple[Sequence[str], list[Exception]]:
        """Deal with what cannot wait; the symbols that had no stop by the ledger, and what was raised."""
        bare = self._bare()
        trouble = [*_in_turn(dealing, [Urgent(each, partial(self._cover, each, amiss)) for each in bare])]
        unbooked: list[Urgent] = []
        trouble += _in_turn(lambda account: unbooked.extend(self._unbooked(account, amiss)), [self.account])
        trouble += _in_turn(dealing, unbooked)
        return bare, trouble

    def _protect_each(self, symbols: Sequence[str], amiss: dict[str, None]) -> Iterator[Exception]:
        """Protect them in turn; what was raised."""
        return _in_turn(partial(self._protect, amiss=amiss), symbols)

    def _protect(self, symbol: str, amiss: dict[str, None]) -> None:
        """Where something was to be done is noted in `amiss`."""
        if self.protect(symbol):
            amiss[symbol] = None

    def _bare(self) -> Sequence[str]:
        """The symbols whose position has no stop that waits, and something is to be done about it."""
        with self.ledger.read() as unit:
            since = unit.positions.unprotected(self.account)
            symbols = [each for each, opened_at in since.items() if not self._is_left(opened_at)]
            return [each for each in symbols if self._is_bare(unit, each)]

    def _is_bare(self, unit: Unit, symbol: str) -> bool:
        return self.planner.follows_the_market or self._is_restless(unit, symbol)

    def _cover(self, symbol: str, amiss: dict[str, None]) -> None:
        """Protect what was bare, unless somebody has done so meanwhile."""
        with self.ledger.read() as unit:
            is_bare = self._is_bare(unit, symbol)
        if is_bare:
            self._protect(symbol, amiss)

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
            if self.planner.follows_the_market:
                return list(found)
            return self.calm.restless(found, lambda symbol: self._is_restless(unit, symbol))

    def _is_restless(self, unit: Unit, symbol: str) -> bool:
        try:
            return bool(self.planner.planned_now(unit, symbol, None))
        except (ExchangeUnavailable, ExchangeRefused, UnknownSymbol):
            return True  # protecting it says what is wrong

    def _unbooked(self, account: str, amiss: dict[str, None]) -> Sequence[Urgent]:
        """What the exchange shows to be filled, to be booked and protected without waiting for whoever sent it."""
        found = filled_unbooked(self.ledger, self.venue, account, self._is_left)
        return [Urgent(each, partial(self._book, each, found[each], amiss)) for each in found]

    def _book(self, symbol: str, orders: Sequence[Order], amiss: dict[str, None]) -> None:
        """All of the symbol's orders first, then it is protected once: guards that one protection has just placed look
        missing to the next while the exchange does not tell. Not at all when nothing new was found.
        """
        for order in self._as_they_were(orders):
            self._look(order)
        if len(self._as_they_were(orders)) < len(orders):
            self._protect(symbol, amiss)

    def _as_they_were(self, orders: Sequence[Order]) -> Sequence[Order]:
        with self.ledger.read() as unit:
            return [each for each in orders if unit.orders.get(each.client_order_id) == each]

    def _look(self, order: Order) -> None:
        for error in _in_turn(self.resolver.look, [order]):
            self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))

    def _ask_about_the_gone(self, account: str) -> None:
        """Ask what became of the guards that the exchange no longer holds; each, whatever comes of the others."""
        with self.ledger.read() as unit:
            waiting = [each for each in unit.orders.briefs(account) if each.waits]
        if not waiting:
            return
        there = self.venue.waiting(sorted({each.symbol for each in waiting}))
        missed = [each.client_order_id for each in waiting if each.client_order_id not in there]
        with self.ledger.read() as unit:
            gone = [order for order in map(unit.orders.get, missed) if order is not None and order.waits]
        trouble = [*_in_turn(self.resolver.ask, gone)]
        if trouble:
            raise trouble[0]

    # -------------------------------------------------------------------------------------- one position

    def protect(self, symbol: str) -> bool:
        """Place what is missing for the symbol's position, take back what is superfluous. Whether anything was.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable, UnknownSymbol.
        """
        done: set[object] = set()
        for number in range(ROUNDS):
            quote = self.planner.quote(symbol)
            nobody_has_looked = number > 0 or self.planner.follows_the_market
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
            planned = self.planner.planned_now(unit, symbol, quote)
        return any(key_of(step) not in done for step in planned)

    def _begin(
        self, symbol: str, quote: Quote | None, done: Collection[object]
    ) -> tuple[Sequence[Step], bool]:
        """What is wanted; guards that come first are opened in the transaction that looks, and sent. Whether they are
        all, and the position is protected.
        """
        wanted: list[Step] = []

        def first(unit: Unit, found: Seen | None) -> Sequence[Place]:
            planned = self.planner.planned(unit, symbol, found, quote)
            wanted.extend(step for step in planned if key_of(step) not in done)
            return [step for step in takewhile(is_new_guard, wanted) if isinstance(step, Place)]

        stand = self.exits.make(symbol, self._beside(symbol), first)
        return wanted, stand and all(map(is_new_guard, wanted))

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
        is_cancelled = self.venue.cancel(order)
        self.events.emit(
            EventName.ORDER_CANCEL, **order_fields(order), why="it protects nothing any more", problem=""
        )
        self.resolver.ask(order, is_cancelled=is_cancelled)

    def _beside(self, symbol: str) -> Outside:
        """Guards need no quote: they must not wait for one, least of all when the exchange is slow. Nor does what is to
        be taken back need an instrument.
        """
        with suppress(ExchangeUnavailable, ExchangeRefused, UnknownSymbol):
            return Outside(instrument=self.planner.instrument(symbol))
        return Outside()

    def _close(self, symbol: str, step: Place) -> None:
        outside = self.governor.look_outside(symbol)
        if step.origin is Origin.DUST:
            if outside.quote is None:
                return
            step = self._priced(symbol, step, outside.quote)
        self._make(symbol, [step], outside)

    def _make(self, symbol: str, places: Sequence[Place], outside: Outside) -> None:
        quote = self.planner.quote(symbol)

        def still_wanted(unit: Unit, found: Seen | None) -> Sequence[Place]:
            planned = self.planner.planned(unit, symbol, found, quote)
            return [each for each in places if still_in(each, planned)]

        self.exits.make(symbol, outside, still_wanted)

    def _priced(self, symbol: str, step: Place, quote: Quote) -> Place:
        """At most the slippage beyond the side that it is sold to, or bought from."""
        with self.ledger.read() as unit:
            position = unit.positions.open_of(self.account, symbol)
        if position is None:
            return step
        return replace(step, price=self.planner.worst(position, self.planner.best(position, quote)))


Item = TypeVar("Item")


def _in_turn(do: Callable[[Item], object], items: Iterable[Item]) -> Iterator[Exception]:
    """Do it for each; what was raised."""
    for item in items:
        try:
            do(item)
        except (ExchangeUnavailable, ExchangeRefused, InvariantBroken, UnknownSymbol) as error:
            yield error
