"""What beat fires and when: one pass for each symbol of the universe in each cadence, and the upkeep.

A slot is a function of the symbol and the cadence alone, so every beat on every host names the same slots, and the
ledger lets each be opened once: a second beat, or a restarted one, doubles nothing. Of several beats one leads and
fires; see `tasks.leading`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import Scheduler

from pipeline.bootstrap import Pipeline
from pipeline.domain.decisions import Origin
from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.ids import decision_id, digest
from pipeline.stages.opening import PassRequest
from pipeline.trace import sentry
from tasks import pulsing
from tasks.enqueue import enqueue_pass
from tasks.leading import Leadership
from tasks.publishing import NOTHING, SCHEDULED
from tasks.services import services

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_SLEEP_S = 1.0
LOOKED_UP = 100
"""Of the slots of a symbol that went by, at most so many are looked up in the ledger."""
CHECK_IN_EVERY = timedelta(minutes=1)


def phase(symbol: str, cadence: timedelta) -> timedelta:
    """Where in the cadence a symbol fires: spread evenly by its name, in whole milliseconds."""
    length_ms = cadence // timedelta(milliseconds=1)
    return timedelta(milliseconds=int(digest("phase", symbol)[:12], 16) % length_ms)


def slot_at_or_before(symbol: str, cadence: timedelta, at: datetime) -> datetime:
    """The newest slot of a symbol that is not after `at`."""
    first = EPOCH + phase(symbol, cadence)
    return first + (at - first) // cadence * cadence


@dataclass(frozen=True, slots=True)
class DueSlot:
    """A slot to fire now, and how many earlier ones of its symbol went by unfired."""

    symbol: str
    slot: datetime
    missed: int


@dataclass(slots=True)
class SlotPlan:
    """When each symbol is due next. Slots that went by while nobody looked are missed: named, never fired late."""

    cadence: timedelta
    _heap: list[tuple[datetime, str]] = field(default_factory=list)
    _looked_at: datetime = EPOCH

    def follow(self, symbols: tuple[str, ...], now: datetime) -> None:
        """Plan for these symbols. Those already planned keep their next slot, unless it is further away than a
        cadence: then the clock has been set back since, and waiting for it would be silence.
        """
        planned = {symbol: slot for slot, symbol in self._heap if slot <= now + self.cadence}
        following = {
            symbol: slot_at_or_before(symbol, self.cadence, now) + self.cadence for symbol in symbols
        }
        self._heap = [(planned.get(symbol, slot), symbol) for symbol, slot in following.items()]
        heapq.heapify(self._heap)

    def next_due(self, now: datetime) -> DueSlot | None:
        """The slot of the symbol that has waited longest; None when nothing is due. Each is given once."""
        if now < self._looked_at:
            self.follow(tuple(symbol for _, symbol in self._heap), now)
        self._looked_at = now
        if not self._heap or self._heap[0][0] > now:
            return None
        planned, symbol = self._heap[0]
        slot = slot_at_or_before(symbol, self.cadence, now)
        heapq.heapreplace(self._heap, (slot + self.cadence, symbol))
        return DueSlot(symbol, slot, missed=(slot - planned) // self.cadence)

    def let_pass(self, before: datetime) -> None:
        """Slots before that instant are somebody else's, and not missed."""
        for at, (slot, symbol) in enumerate(self._heap):
            if slot < before:
                self._heap[at] = (slot_at_or_before(symbol, self.cadence, before) + self.cadence, symbol)
        heapq.heapify(self._heap)

    def wait_s(self, now: datetime) -> float:
        """Seconds until the next slot, never negative; infinite when nothing is planned."""
        return max(0.0, (self._heap[0][0] - now).total_seconds()) if self._heap else float("inf")


@dataclass(slots=True)
class Upkeep:
    """A task that beat sends every so often. Its message expires before the next one is due."""

    task: str
    every: timedelta
    next_at: datetime = EPOCH

    def is_due(self, now: datetime) -> bool:
        """Also when it is due further away than `every`: then the clock has been set back."""
        return not now < self.next_at <= now + self.every

    def sent(self, now: datetime) -> None:
        self.next_at = now + self.every


class SlotScheduler(Scheduler):
    """Celery beat's scheduler for slots. It follows the universe without being restarted."""

    max_interval = LONGEST_SLEEP_S

    def setup_schedule(self) -> None:
        """Called by beat once, before the first tick."""
        self.schedule: dict[str, Any] = {}
        chain = self._here.settings.chain
        self._lease = timedelta(seconds=chain.beat_lease_s)
        self._leadership = Leadership(
            self._here.beat_lease(),
            chain.beat_lease_s,
            self._here.events,
            clock_ahead_s=self._here.clock_ahead_s,
            clock_limit_s=self._here.settings.governor.max_clock_skew_s,
        )
        self._plan = SlotPlan(timedelta(seconds=chain.cadence_s))
        self._version, self._told = "", ""
        self._checked_in = EPOCH
        self._upkeep = [
            Upkeep("tasks.sweep", timedelta(seconds=chain.sweep_every_s)),
            Upkeep("tasks.resolve", timedelta(seconds=chain.resolve_every_s)),
            Upkeep("tasks.protect", timedelta(seconds=chain.protect_every_s)),
            Upkeep("tasks.look_after", timedelta(seconds=chain.look_after_every_s)),
            Upkeep("tasks.refresh_equity", timedelta(seconds=chain.equity_every_s)),
            Upkeep("tasks.reconcile", timedelta(seconds=chain.reconcile_every_s)),
            Upkeep("tasks.guard", timedelta(seconds=chain.guard_every_s)),
            Upkeep("tasks.check_universe", timedelta(seconds=self._here.settings.universe.check_every_s)),
        ]

    @property
    def _here(self) -> Pipeline:
        return services()

    def tick(self, *_: Any, **__: Any) -> float:
        """Fire what is due. Returns how many seconds to sleep. Raises nothing: beat must not die of a bad moment."""
        now = self._here.clock.now()
        self._follow_universe(now)
        pulsing.tick()
        if not self._leadership.look():
            self._plan.let_pass(
                now - 2 * self._lease
            )  # what a leader that is dying now may leave is still planned
            return LONGEST_SLEEP_S
        for upkeep in self._upkeep:
            if upkeep.is_due(now):
                self._send(upkeep, now)
        self._fire_due()
        self._check_in(now)
        return min(LONGEST_SLEEP_S, self._plan.wait_s(self._here.clock.now()))

    def _check_in(self, now: datetime) -> None:
        """At Sentry's cron monitor, once a minute; well while the universe can be read."""
        if not self._checked_in <= now < self._checked_in + CHECK_IN_EVERY:
            self._checked_in = now
            sentry.check_in(self._here.settings.sentry.beat_monitor, well=not self._told)

    def close(self) -> None:
        """Called by beat at its orderly end."""
        self._leadership.end()
        pulsing.end_beat()
        super().close()

    def _fire_due(self) -> None:
        """For a second at most, so that the upkeep does not wait behind a slow ledger or an absent Redis."""
        now = self._here.clock.now()
        until = now + timedelta(seconds=LONGEST_SLEEP_S)
        while (due := self._plan.next_due(now)) is not None:
            self._fire(due)
            now = self._here.clock.now()
            if now >= until:
                return

    def _follow_universe(self, now: datetime) -> None:
        try:
            universe = self._here.universe()
        except Exception as error:  # noqa: BLE001 - the symbols that are planned go on
            self._tell_once(str(error))
            return
        self._told = ""
        if universe.version != self._version:
            self._version = universe.version
            self._plan.follow(tuple(universe.symbols), now)
            self._here.events.emit(
                EventName.UNIVERSE, version=universe.version, symbols=len(universe.symbols)
            )

    def _tell_once(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            self._here.events.emit(EventName.UNIVERSE, problem=problem, symbols=0)

    def _send(self, upkeep: Upkeep, now: datetime) -> None:
        upkeep.sent(now)
        expires = upkeep.every.total_seconds()
        try:
            self.app.send_task(upkeep.task, expires=expires, declare=NOTHING, **SCHEDULED)
        except Exception as error:  # noqa: BLE001 - it is sent again soon
            self._here.events.emit(EventName.PUBLISH_FAILED, task=upkeep.task, error=str(error))

    def _fire(self, due: DueSlot) -> None:
        if missed := self._unopened(due):
            self._here.events.emit(EventName.SLOT_MISSED, symbol=due.symbol, missed=missed)
        try:
            enqueue_pass(PassRequest(symbol=due.symbol, slot=due.slot, origin=Origin.BEAT), **SCHEDULED)
        except Exception as error:  # noqa: BLE001 - one symbol's trouble must not silence the others
            self._here.events.emit(
                EventName.PUBLISH_FAILED, symbol=due.symbol, slot=due.slot, error=str(error)
            )

    def _unopened(self, due: DueSlot) -> int:
        """How many of the slots that went by nobody has opened: another beat may have led then."""
        if not due.missed:
            return 0
        slots = [due.slot - back * self._plan.cadence for back in range(1, min(due.missed, LOOKED_UP) + 1)]
        try:
            with self._here.ledger.read() as unit:
                opened = sum(unit.decisions.get(decision_id(due.symbol, slot)) is not None for slot in slots)
        except LedgerUnavailable:
            opened = 0
        return due.missed - opened
