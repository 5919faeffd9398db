"""Of several beats on several hosts one leads; the others stand by and take over when it is silent.

The ledger opens each slot once, whoever fires it: a beat that was frozen while it led, and fires once more before it
looks, doubles nothing. What leading protects is another thing: a beat that is cut off from Redis must not go on opening
decisions whose messages it cannot send, for the beat that has taken over finds them opened, and leaves them. Nor must
one whose host's clock is off: it would name slots that are over, or that have not come yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.lease import Held, Lease

RENEWED_PER_LEASE = 4


@dataclass(slots=True)
class Leadership:
    """One beat's. `lasts_s`: after that long without an answer of Redis it counts as lost. `clock_ahead_s` says by how
    much this host's clock is off against Redis', and `clock_limit_s` by how much it may be.
    """

    lease: Lease
    lasts_s: float
    events: Events
    monotonic: Callable[[], float] = time.monotonic
    clock_ahead_s: Callable[[], float] = lambda: 0.0
    clock_limit_s: float = float("inf")
    leads: bool = False
    _asked_at: float = float("-inf")
    _renewed_at: float = float("-inf")
    _told: str = field(default="")

    def look(self) -> bool:
        """Renew the claim if it is time to, or make it. Whether this beat leads."""
        now = self.monotonic()
        if now - self._asked_at >= self.lasts_s / RENEWED_PER_LEASE:
            self._asked_at = now
            try:
                self._ask(now)
            except StoreUnavailable as problem:
                self._unanswered(now, problem)
        return self.leads

    def _ask(self, now: float) -> None:
        ahead_s = self.clock_ahead_s()
        if abs(ahead_s) > self.clock_limit_s:
            self.end()
            problem = (
                f"this host's clock is {ahead_s:+.0f} s from Redis'; the limit is {self.clock_limit_s:g} s"
            )
            self._tell(EventName.BEAT_STEPS_BACK, problem=problem)
        else:
            self._heard(now, self.lease.hold())

    def end(self) -> None:
        """Give way at once. Without Redis the lease runs out by itself."""
        self.leads = False
        with suppress(StoreUnavailable):
            self.lease.drop()

    def _unanswered(self, now: float, problem: StoreUnavailable) -> None:
        if self.leads and now - self._renewed_at >= self.lasts_s:
            self.leads = False
            self._tell(EventName.BEAT_STEPS_BACK, problem=str(problem))

    def _heard(self, now: float, held: Held) -> None:
        led, self.leads = self.leads, held.ours
        if not held.ours:
            self._tell(EventName.BEAT_STANDS_BY, holder=held.holder)
            return
        self._renewed_at = now
        if held.anew or not led:
            self._tell(EventName.BEAT_LEADS, fence=held.fence, before=held.before)

    def _tell(self, name: EventName, **fields: str | int) -> None:
        """Once, until there is something else to tell."""
        told = f"{name} {fields}"
        if told != self._told:
            self._told = told
            self.events.emit(name, level=None, **fields)
