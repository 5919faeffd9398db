"""Which of several watchdogs tells: one leads, the others stand by, so that nobody is told everything twice.

A watchdog must not fall silent because Redis is away: the one that leads goes on, and one that stands by takes over
when Redis has been away for as long as the lease lasts, for the other may have gone with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.lease import Held, Lease


@dataclass(slots=True)
class Turn:
    """One watchdog's. `lasts_s`: how long its lease lasts."""

    lease: Lease
    lasts_s: float
    events: Events
    monotonic: Callable[[], float] = time.monotonic
    leads: bool = False
    _heard_at: float | None = None
    _holder: str = ""

    def look(self) -> bool:
        """Renew the claim, or make it. Whether this watchdog tells."""
        try:
            self._heard(self.lease.hold())
        except StoreUnavailable as problem:
            self._unanswered(problem)
        return self.leads

    def end(self) -> None:
        """Give way at once. Without Redis the lease runs out by itself."""
        self.leads = False
        try:
            self.lease.drop()
        except StoreUnavailable:
            return

    def _heard(self, held: Held) -> None:
        led, self.leads, self._heard_at = self.leads, held.ours, self.monotonic()
        if held.ours and (held.anew or not led):
            self.events.emit(EventName.WATCH_LEADS, fence=held.fence, before=held.before)
        if not held.ours and held.holder != self._holder:
            self.events.emit(EventName.WATCH_STANDS_BY, holder=held.holder)
        self._holder = held.holder

    def _unanswered(self, problem: StoreUnavailable) -> None:
        if self.leads or (self._heard_at is not None and self.monotonic() - self._heard_at < self.lasts_s):
            return
        self.leads = True
        self.events.emit(EventName.WATCH_LEADS, fence=0, before=self._holder, problem=str(problem))
