"""How far this host's clock is off, measured against Redis': the one clock that every host can ask cheaply."""

from __future__ import annotations

from datetime import UTC, datetime

import redis

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.timeframes import Clock


def ahead_of_redis_s(client: redis.Redis, clock: Clock) -> float:
    """By how many seconds, at least, our clock is ahead; negative when it is behind.

    The answer may have been given at any moment of the round trip: what that could explain does not count, so a slow
    network never looks like a wrong clock. Raises: StoreUnavailable.
    """
    before = clock.now()
    try:
        seconds, micros = client.time()
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis: {error}") from error
    after = clock.now()
    theirs = datetime.fromtimestamp(int(seconds) + int(micros) / 1e6, UTC)
    if before <= theirs <= after:
        return 0.0
    return (before - theirs).total_seconds() if theirs < before else (after - theirs).total_seconds()
