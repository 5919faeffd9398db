"""Which symbols look as they did when nothing was to be done there: they need no plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Brief
from pipeline.domain.ports import Unit
from pipeline.domain.positions import Position


@dataclass(frozen=True, slots=True)
class Scene:
    """All that can change about a symbol and makes another plan for it, but for the time."""

    position: Position | None
    instrument: Instrument | None
    orders: frozenset[Brief]

    @property
    def is_guarded(self) -> bool:
        """By a stop that waits. Every other order waits as well, so that no plan comes of time passing."""
        if self.position is None or self.instrument is None or not all(each.waits for each in self.orders):
            return False
        return any(each.leg is Leg.STOP for each in self.orders)

    @property
    def concerns(self) -> bool:
        """Whether there is a position, or a guard that may have outlived one."""
        return self.position is not None or any(each.leg.guards for each in self.orders)


def scenes(unit: Unit, account: str, instrument: Callable[[str], Instrument | None]) -> Mapping[str, Scene]:
    """Of every symbol that concerns whoever protects the account, by name."""
    held = {position.symbol: position for position in unit.positions.all_open(account)}
    orders: dict[str, list[Brief]] = defaultdict(list)
    for brief in unit.orders.briefs(account):
        orders[brief.symbol].append(brief)
    found = {
        symbol: Scene(held.get(symbol), instrument(symbol), frozenset(orders[symbol]))
        for symbol in sorted(held.keys() | orders.keys())
    }
    return {symbol: scene for symbol, scene in found.items() if scene.concerns}


@dataclass(slots=True)
class Calm:
    """The scenes in which nothing was to be done. Each process remembers its own."""

    _known: dict[str, Scene] = field(default_factory=dict)

    def restless(self, found: Mapping[str, Scene], needs: Callable[[str], bool]) -> list[str]:
        """The symbols on which something is to be done. Those that look as when they needed nothing are not asked
        about.
        """
        before, self._known = self._known, {}
        restless = []
        for symbol, scene in found.items():
            if before.get(symbol) != scene and needs(symbol):
                restless.append(symbol)
            elif scene.is_guarded:
                self._known[symbol] = scene
        return restless
