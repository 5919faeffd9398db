"""What is missing for a position's protection, by what the ledger and the exchange show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pipeline.domain.decisions import Origin
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order
from pipeline.domain.ports import Clock, MarketData, Quote, Unit
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side
from pipeline.execution.dust import remainder, unorderable, was_refused
from pipeline.execution.protection import Exit, Held, Levels, ProtectionRules, Step, TakeBack, steps, trailed
from pipeline.stages.exits import Seen, seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Of one account. It changes nothing; dust it names, once in each process."""

    account: str
    market: MarketData
    clock: Clock
    events: Events
    rules: ProtectionRules
    named: set[object] = field(default_factory=set)

    @property
    def follows_the_market(self) -> bool:
        return bool(self.rules.max_hold or self.rules.trail)

    def quote(self, symbol: str) -> Quote | None:
        """Only what follows the market needs one, and nothing waits for it."""
        if not self.follows_the_market:
            return None
        try:
            return self.market.quote(symbol)
        except (ExchangeUnavailable, ExchangeRefused):
            return None

    def instrument(self, symbol: str) -> Instrument:
        return self.market.known_instruments().find(symbol)

    def planned_now(self, unit: Unit, symbol: str, quote: Quote | None) -> Sequence[Step]:
        """As `planned`, of the position as the unit shows it."""
        position = unit.positions.open_of(self.account, symbol)
        return self.planned(unit, symbol, None if position is None else seen(unit, position), quote)

    def planned(self, unit: Unit, symbol: str, found: Seen | None, quote: Quote | None) -> Sequence[Step]:
        """The steps that are missing, in the order in which they are to be taken. Raises: UnknownSymbol."""
        working = unit.orders.unsettled(self.account, symbol)
        resting = [each for each in working if each.waits]
        if found is None:
            return [TakeBack(each) for each in resting]
        position, instrument = found.position, self.instrument(symbol)
        qty = instrument.round_qty_down(min(position.qty, instrument.max_qty))
        nothing = unorderable(position, instrument)
        if nothing:
            self._name_dust(position, instrument, nothing)
            return ()
        why = remainder(position, found.opening, instrument, working)
        held = self._swept(self._held(unit, found, resting, qty, quote), instrument, why)
        return steps(held, self.clock.now(), self.rules.patience)

    def best(self, position: Position, quote: Quote) -> Decimal:
        """What a close of the position would get now."""
        return quote.bid if position.side is Side.BUY else quote.ask

    def worst(self, position: Position, price: Decimal) -> Decimal:
        """What a close at that price may get at the worst."""
        worst = price * (1 - position.side.sign * self.rules.slippage)
        return self.instrument(position.symbol).round_price_nearest(worst)

    # -- how it stands

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
        position, instrument = held.position, self.instrument(held.position.symbol)
        price = self.best(position, quote)
        if self.rules.trail:
            level = trailed(held, price, self.rules.trail, self.rules.trail_step)
            stop = _on_tick(instrument, level, up=position.side is Side.BUY)
            if stop != held.levels.stop:
                held = replace(held, levels=replace(held.levels, stop=stop, why="the stop trails the market"))
        age = quote.occurred_at - position.opened_at
        if self.rules.max_hold and age >= self.rules.max_hold:
            why = f"held for {age.total_seconds():.0f} s"
            held = replace(held, overdue=why, close_at=self.worst(position, price))
        return held

    def _levels(self, position: Position, opening: Intent | None) -> Levels:
        instrument, is_long = self.instrument(position.symbol), position.side is Side.BUY
        if opening is not None and opening.stop_loss is not None:
            stop = _on_tick(instrument, opening.stop_loss, up=is_long)
            wanted = opening.take_profit
            target = None if wanted is None else _on_tick(instrument, wanted, up=not is_long)
            return Levels(stop=stop, target=target)
        away = position.entry_price * (1 - position.side.sign * self.rules.default_stop)
        stop = max(instrument.price_tick, instrument.round_price_nearest(away))
        return Levels(stop=stop, target=None, why="the default stop: its decision gave none")


def _on_tick(instrument: Instrument, price: Decimal, *, up: bool) -> Decimal:
    """The price as the exchange takes it now: ticks change while a position is held. Stop and target move towards the
    entry, so that nothing is risked or waited for beyond the signal's levels.
    """
    rounded = instrument.round_price_up(price) if up else instrument.round_price_down(price)
    return max(instrument.price_tick, rounded)
