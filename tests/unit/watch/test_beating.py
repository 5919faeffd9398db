"""Pulses: what a process says of itself, and when it names a thread that hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.liveness import ProcessState, Pulse
from pipeline.testing import FixedClock
from pipeline.trace.events import RecordedEvents
from pipeline.watch.beating import Beating, Rhythm
from pipeline.watch.vitals import Identity, Vitals

HALF_A_MINUTE = timedelta(seconds=30)
LIMIT_S = 15.0


@dataclass
class KeptPulses:
    """A store in memory; `away` makes it fail."""

    away: bool = False
    written: list[Pulse] = field(default_factory=list)

    def write(self, pulse: Pulse) -> None:
        if self.away:
            raise StoreUnavailable("Redis: away")
        self.written.append(pulse)


@dataclass
class World:
    clock: FixedClock = field(default_factory=FixedClock)
    store: KeptPulses = field(default_factory=KeptPulses)
    events: RecordedEvents = field(default_factory=RecordedEvents)

    def __post_init__(self) -> None:
        self.vitals = Vitals(
            Identity(role="worker-market", account="paper-main", config_hash="abc", host="h", pid=7),
            self.clock,
            children=lambda: (8, 9),
        )
        rhythm = Rhythm(every_s=5, told_every=HALF_A_MINUTE)
        self.beating = Beating(self.vitals, self.store, self.events, rhythm)  # type: ignore[arg-type]  # a fake

    def pass_by(self, seconds: float) -> None:
        self.clock.turn(timedelta(seconds=seconds))


def test_a_pulse_survives_its_way_as_json() -> None:
    """Whoever reads it in Redis must see exactly what the process saw."""
    world = World()
    world.vitals.begin("task", "evaluate dec_1", LIMIT_S)
    world.pass_by(3)
    pulse = world.vitals.pulse()
    assert Pulse.from_record(pulse.as_record()) == pulse
    assert pulse.process == "worker-market@h/7"
    assert pulse.children == (8, 9)


def test_a_heartbeat_line_comes_every_half_minute_with_components_and_ages() -> None:
    """F3: components, threads, ages; often enough to be believed, rarely enough to be read."""
    world = World()
    for _ in range(13):
        world.vitals.touch("schedule", LIMIT_S)
        world.pass_by(5)
        world.beating.beat()
    lines = world.events.of(EventName.SHUTDOWN_HEARTBEAT)
    assert len(lines) == 3
    assert lines[0]["components"] == {"schedule": "seen 5.0 s ago"}
    assert threading.current_thread().name in str(lines[0]["threads"])
    assert len(world.store.written) == 13


@contextmanager
def stuck_thread(world: World) -> Iterator[None]:
    """A thread that has begun a task and waits in `waits_for_ever`."""
    begun, over = threading.Event(), threading.Event()

    def waits_for_ever() -> None:
        world.vitals.begin("task", "evaluate dec_1", LIMIT_S)
        begun.set()
        over.wait()

    thread = threading.Thread(target=waits_for_ever, name="the-stuck-one")
    thread.start()
    begun.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_hung_thread_is_named_with_the_place_where_it_hangs() -> None:
    """I2: which thread hung, in what, and where, must not take hours to find."""
    world = World()
    with stuck_thread(world):
        world.pass_by(LIMIT_S + 1)
        world.beating.beat()
        world.pass_by(5)
        world.beating.beat()
    (hung,) = world.events.of(EventName.THREAD_HUNG)
    assert (hung["thread"], hung["doing"], hung["for_s"]) == ("the-stuck-one", "evaluate dec_1", 16.0)
    assert "waits_for_ever" in str(hung["where"])
    assert world.store.written[-1].hanging()[0].where


def test_an_idle_process_hangs_nowhere() -> None:
    """A quiet night is no incident."""
    world = World()
    world.vitals.begin("task", "evaluate dec_1", LIMIT_S)
    world.vitals.end("task")
    world.pass_by(3600)
    world.beating.beat()
    assert not world.events.of(EventName.THREAD_HUNG)
    assert world.store.written[-1].done == 1


def test_a_redis_that_is_away_costs_pulses_and_nothing_else() -> None:
    """The log still says every half minute that the process lives."""
    world = World()
    world.store.away = True
    world.beating.beat()
    world.store.away = False
    world.beating.beat()
    assert len(world.store.written) == 1
    assert world.events.names == [EventName.SHUTDOWN_HEARTBEAT]


def test_the_last_pulse_says_that_the_end_was_orderly() -> None:
    """Silence after it alarms nobody; silence without it does."""
    world = World()
    world.beating.beat()
    world.beating.stop("finished 2 tasks")
    last = world.store.written[-1]
    assert (last.state, last.note) == (ProcessState.STOPPED, "finished 2 tasks")
    assert not last.lives(world.clock.now(), HALF_A_MINUTE)
    assert world.events.of(EventName.SHUTDOWN_HEARTBEAT)[-1]["state"] is ProcessState.STOPPED


def test_a_pulse_that_fails_is_told_and_the_next_one_comes() -> None:
    """A thread that ends here would make a living process look dead."""
    world = World()
    world.beating.rhythm = Rhythm(every_s=0.001, told_every=HALF_A_MINUTE)
    pulse = world.vitals.pulse
    failing = iter([True, True])
    recovered = threading.Event()

    def told() -> Pulse:
        if next(failing, False):
            raise OverflowError("date value out of range")
        recovered.set()
        return pulse()

    world.vitals.pulse = told  # type: ignore[method-assign]  # it fails twice
    world.beating.start()
    assert recovered.wait(20)
    world.beating.stop()
    assert [each["what"] for each in world.events.of(EventName.UPKEEP_FAILED)] == ["the pulse", "the pulse"]
