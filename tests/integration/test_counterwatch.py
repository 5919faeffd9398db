"""Who watches the watchdog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import orjson
import pytest
import redis

from pipeline.domain.levels import Alert, LevelCode
from pipeline.domain.liveness import ProcessState, Pulse
from pipeline.testing import FixedClock
from pipeline.watch.counterwatch import Counterwatch
from pipeline.watch.pulses import PulseStore
from tests.unit.watch.looks import ACCOUNT, a_pulse

SECOND = timedelta(seconds=1)


@dataclass
class Kept:
    sent: list[Alert] = field(default_factory=list)
    name: str = "kept"

    def send(self, alert: Alert) -> None:
        self.sent.append(alert)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as opened:
        yield opened


def watched(client: redis.Redis, kept: Kept, *watchdogs: Pulse) -> Counterwatch:
    store = PulseStore(client, ACCOUNT)
    for pulse in watchdogs:
        store.write(pulse)
    return Counterwatch(
        client=client,
        pulses=store,
        notifiers=(kept,),
        account=ACCOUNT,
        silent_after=20 * SECOND,
        every=10 * SECOND,
    )


def the_watchdog(clock: FixedClock, age_s: int) -> Pulse:
    return a_pulse("watch", 4, beat_at=clock.now() - age_s * SECOND)


def test_a_watchdog_that_falls_silent_is_told_once_by_whoever_sees_it_first(client: redis.Redis) -> None:
    """Ten processes see it; one message is enough."""
    clock, kept = FixedClock(), Kept()
    lost = the_watchdog(clock, 21)
    for _ in range(3):
        watched(client, kept, lost).look(clock.now())
    (alert,) = kept.sent
    assert alert.code is LevelCode.WATCH_GONE
    assert "watch@alpha/4 fell silent 21 s ago" in alert.detail


@pytest.mark.parametrize("case", ["lives", "stopped", "replaced", "never was"])
def test_a_watchdog_that_is_not_missed_is_not_told(client: redis.Redis, case: str) -> None:
    """An orderly end is somebody's wish."""
    clock, kept = FixedClock(), Kept()
    watchdogs = {
        "lives": [the_watchdog(clock, 3)],
        "stopped": [replace(the_watchdog(clock, 300), state=ProcessState.STOPPED)],
        "replaced": [the_watchdog(clock, 300), replace(the_watchdog(clock, 1), pid=5)],
        "never was": [],
    }
    watched(client, kept, *watchdogs[case]).look(clock.now())
    assert kept.sent == []


def test_pulses_survive_rubbish_in_their_hash(client: redis.Redis) -> None:
    """Another version's pulse, or somebody's joke, must not blind the watchdog."""
    store = PulseStore(client, ACCOUNT)
    store.write(a_pulse("beat", 1))
    client.hset(f"tl:pulses:{ACCOUNT}", mapping={"a": "{}", "b": "\x00", "c": '{"role": 3}'})
    assert [pulse.role for pulse in store.read()] == ["beat"]
    store.forget(["beat@alpha/1"])
    assert store.read() == []


@pytest.mark.parametrize(
    "rubbish",
    [
        {"clock_ahead_s": 1e300},
        {"clock_ahead_s": "inf"},
        {"clock_ahead_s": "nan"},
        {"clock_ahead_s": -7_000_000_000},
        {"beat_at": "9999-12-31T23:59:59-14:00"},
        {"beat_at": "9999-12-31T23:59:59Z"},
        {"beat_at": "0001-01-01T00:00:00Z", "clock_ahead_s": 60},
    ],
)
def test_a_pulse_of_an_impossible_time_blinds_nobody(client: redis.Redis, rubbish: dict[str, object]) -> None:
    """Reckoned with, it would end the thread that tells of each process, and leave the doctor without any."""
    store = PulseStore(client, ACCOUNT)
    store.write(a_pulse("beat", 1))
    record = {**a_pulse("watch", 2).as_record(), **rubbish}
    client.hset(f"tl:pulses:{ACCOUNT}", "watch@alpha/2", orjson.dumps(record).decode())
    assert [pulse.role for pulse in store.read()] == ["beat"]
