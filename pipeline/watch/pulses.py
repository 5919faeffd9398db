"""Pulses in Redis: one field of a hash for each process of an account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import orjson
import redis

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.liveness import Pulse

KEPT = timedelta(days=1)
"""How long the pulses of an account outlive the last one."""


class PulseStore:
    """Raises StoreUnavailable when Redis cannot be reached."""

    def __init__(self, client: redis.Redis, account: str) -> None:
        self._client = client
        self._key = f"tl:pulses:{account}"

    def write(self, pulse: Pulse) -> None:
        try:
            pipe = self._client.pipeline(transaction=False)
            pipe.hset(self._key, pulse.process, orjson.dumps(pulse.as_record()).decode())
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
        return sorted(_readable(told.values()), key=lambda pulse: pulse.process)

    def forget(self, processes: Iterable[str]) -> None:
        names = list(processes)
        try:
            if names:
                self._client.hdel(self._key, *names)
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {error}") from error


def _readable(told: Iterable[bytes | str]) -> Iterable[Pulse]:
    for text in told:
        try:
            yield Pulse.from_record(orjson.loads(text))
        except (ValueError, KeyError, TypeError):
            continue  # of another version of this program, or somebody's rubbish
