"""Pulses in Redis: one field of a hash for each process of an account.

Each host tells the time by its own clock. How far that one is off stands in the pulse, and who reads it gets it in the
time of the own clock: a host whose clock is wrong is named, and not taken for dead, nor for alive when it is dead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import orjson
import redis

from pipeline.clocks import ahead_of_redis_s
from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.liveness import Pulse
from pipeline.domain.timeframes import Clock, SystemClock

KEPT = timedelta(days=1)
"""How long the pulses of an account outlive the last one."""
NO_DIFFERENCE_S = 0.5
"""Clocks that agree so well need no correction."""


class PulseStore:
    """Raises StoreUnavailable when Redis cannot be reached."""

    def __init__(self, client: redis.Redis, account: str, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._key = f"tl:pulses:{account}"

    def write(self, pulse: Pulse) -> None:
        told = replace(pulse, clock_ahead_s=round(ahead_of_redis_s(self._client, self._clock), 3))
        try:
            pipe = self._client.pipeline(transaction=False)
            pipe.hset(self._key, pulse.process, orjson.dumps(told.as_record()).decode())
            pipe.expire(self._key, KEPT)
            pipe.execute()
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {error}") from error

    def read(self) -> list[Pulse]:
        """Everybody's last one, in the order of their names; what is none is left out."""
        try:
            told = self._client.hgetall(self._key)
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {error}") from error
        ahead_s, latest = ahead_of_redis_s(self._client, self._clock), self._clock.now() + KEPT
        readable = _readable(told.values(), ahead_s)
        return sorted(
            (pulse for pulse in readable if pulse.beat_at < latest), key=lambda pulse: pulse.process
        )

    def forget(self, processes: Iterable[str]) -> None:
        names = list(processes)
        try:
            if names:
                self._client.hdel(self._key, *names)
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {error}") from error


def _in_our_time(pulse: Pulse, ahead_s: float) -> Pulse:
    by_s = ahead_s - pulse.clock_ahead_s
    return pulse if abs(by_s) < NO_DIFFERENCE_S else pulse.later(timedelta(seconds=by_s))


def _readable(told: Iterable[bytes | str], ahead_s: float) -> Iterable[Pulse]:
    for text in told:
        try:
            yield _in_our_time(Pulse.from_record(orjson.loads(text)), ahead_s)
        except (ValueError, KeyError, TypeError, OverflowError):
            continue  # of another version of this program, or somebody's rubbish
