"""How one process keeps an account's positions protected beside its other work, above all beside orders that wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from pipeline.domain.errors import ExchangeRefused, InvariantBroken, Transient, UnknownSymbol
from pipeline.domain.events import EventName, Events
from pipeline.stages.bursts import Burst
from pipeline.stages.protecting import Protector, Urgent


@dataclass(slots=True, kw_only=True)
class LookingAfter:
    """In a burst of entries a look only finds what is urgent; its turn comes with that of the burst's own fills.
    Otherwise the look deals with it at once.
    """

    protector: Protector
    burst: Burst
    events: Events
    every_s: float
    monotonic: Callable[[], float] = time.monotonic
    _due_at: float = field(default=float("-inf"), init=False)

    def cycle(self) -> Sequence[str]:
        """As `Protector.cycle`."""
        return self.protector.cycle(self._deal)

    def catch_up(self) -> None:
        """As `Protector.catch_up`."""
        self.protector.catch_up(self._deal)

    def beside_orders(self) -> None:
        """`catch_up`, if it is due: by whoever executes, called after each order. Raises nothing."""
        if self.monotonic() < self._due_at:
            return
        try:
            self.catch_up()
        except (Transient, ExchangeRefused, InvariantBroken, UnknownSymbol) as error:
            account = self.protector.account
            self.events.emit(EventName.UPKEEP_FAILED, what="protection", account=account, problem=str(error))
        self._due_at = self.monotonic() + self.every_s

    def protect(self, symbol: str) -> None:
        """Bring the symbol's stop and target in line with its position. Raises nothing: upkeep comes again soon."""
        self._safely(symbol, partial(self.protector.protect, symbol))

    def _deal(self, urgent: Urgent) -> None:
        if self.burst.goes_on:
            self.burst.take_over(urgent.symbol, partial(self._safely, urgent.symbol, urgent.deal))
        else:
            urgent.deal()

    def _safely(self, symbol: str, protecting: Callable[[], object]) -> None:
        try:
            protecting()
        except Exception as error:  # noqa: BLE001 - the entry has filled, whatever becomes of its protection
            self.events.emit(
                EventName.UNPROTECTED,
                symbol=symbol,
                why=f"protecting it failed: {type(error).__name__}: {error}",
            )
