"""Beating: a process's pulse goes to Redis every few seconds, and into the log every half minute."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.domain.liveness import Component, ProcessState, Pulse
from pipeline.watch.counterwatch import Counterwatch
from pipeline.watch.pulses import PulseStore
from pipeline.watch.vitals import Vitals


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """`every_s`: between two pulses; `told_every`: between two SHUTDOWN_HEARTBEAT lines."""

    every_s: float
    told_every: timedelta


@dataclass(slots=True)
class Beating:
    """One process's. `beat` is called by whoever has the time: a thread of its own (`start`), or an event loop."""

    vitals: Vitals
    store: PulseStore
    events: Events
    rhythm: Rhythm
    counterwatch: Counterwatch | None = None
    _told_at: datetime | None = None
    _hanging: set[str] = field(default_factory=set)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Beat in a daemon thread until `stop`. Never in a process that forks afterwards."""
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._beat_whatever_comes()
        while not self._stopped.wait(self.rhythm.every_s):
            self._beat_whatever_comes()

    def _beat_whatever_comes(self) -> None:
        """A thread that ends here would make a living process look dead."""
        try:
            self.beat()
        except Exception as error:  # noqa: BLE001 - it is told, and the next pulse comes soon
            problem = f"{type(error).__name__}: {error}"
            self.events.emit(EventName.UPKEEP_FAILED, what="the pulse", problem=problem)

    def beat(self) -> None:
        """One pulse. A Redis that is away loses it, and nothing else: the next one comes soon."""
        pulse = self.vitals.pulse()
        self._name_hanging(pulse)
        if self._told_at is None or pulse.beat_at - self._told_at >= self.rhythm.told_every:
            self._told_at = pulse.beat_at
            tell(self.events, pulse)
        self._write(pulse)
        if self.counterwatch is not None:
            self.counterwatch.look(pulse.beat_at)

    def say(self, state: ProcessState, note: str = "") -> None:
        """A change of the process's state is told at once."""
        self.vitals.state, self.vitals.note = state, note
        self._told_at = None
        self.beat()

    def stop(self, note: str = "") -> None:
        """The last pulse: an orderly end."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=self.rhythm.every_s)
        self.say(ProcessState.STOPPED, note)

    def _write(self, pulse: Pulse) -> None:
        try:
            self.store.write(pulse)
        except StoreUnavailable:
            return  # the watchdog sees that Redis is away; nobody else needs a hundred lines about it

    def _name_hanging(self, pulse: Pulse) -> None:
        hanging = {each.name: each for each in pulse.hanging()}
        for name in hanging.keys() - self._hanging:
            _tell_hanging(self.events, pulse, hanging[name])
        self._hanging = set(hanging)


def tell(events: Events, pulse: Pulse) -> None:
    """SHUTDOWN_HEARTBEAT: components with their ages, threads, state."""
    at = pulse.beat_at
    events.emit(
        EventName.SHUTDOWN_HEARTBEAT,
        process=pulse.process,
        state=pulse.state,
        components={each.name: _in_words(each, at) for each in pulse.components},
        threads=list(pulse.threads),
        done=pulse.done,
        last_done_age_s=round((at - pulse.last_done_at).total_seconds(), 1) if pulse.last_done_at else None,
        up_s=round((at - pulse.started_at).total_seconds()),
        note=pulse.note,
    )


def _in_words(component: Component, at: datetime) -> str:
    if component.since is None:
        return "idle"
    age = f"{component.age_s(at):.1f} s"
    return f"{component.doing} for {age}" if component.doing else f"seen {age} ago"


def _tell_hanging(events: Events, pulse: Pulse, component: Component) -> None:
    events.emit(
        EventName.THREAD_HUNG,
        process=pulse.process,
        thread=component.thread,
        part=component.name,
        doing=component.doing,
        for_s=round(component.age_s(pulse.beat_at), 1),
        limit_s=component.limit_s,
        where=component.where,
    )
