"""Is it ready? One small question for each program; none of them raises when the answer is no."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import redis
import requests

from pipeline.domain.errors import ConfigError

if TYPE_CHECKING:
    from celery import Celery

PATIENCE_S = 180.0
"""For what is slow, and for what hangs: a program that ended is named at once."""
LISTEN_S = 1.0
SIMULATOR_HEALTH = "/_sim/health"
FLOWER_HEALTH = "/healthcheck"
"""The one page that it shows without a login."""


def redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError):  # loading its append-only file counts as not ready
        return False


def require_redis(url: str) -> None:
    """Raises: ConfigError when a server that is not ours does not answer."""
    if not redis_answers(url):
        raise ConfigError(
            f"Redis does not answer at {without_password(url)}",
            where="redis.url",
            remedy="start it, or unset THROUGHLINE_REDIS_URL: then an own one is run on this host",
        )


def without_password(url: str) -> str:
    return re.sub(r"://[^@/]*@", "://***@", url)


def http_answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


@contextmanager
def workers_heard(app: Celery) -> Iterator[Callable[[str], bool]]:
    """Inside the block: whether the worker of that name on this host has been heard since the block began.

    Heartbeats are heard of workers without remote control as well: they say hello at their start, and every two seconds
    from then on. We listen all the time: who listens now and then, in a rhythm that others give, may for ever miss one.
    """
    heard: set[str] = set()

    def hears(name: str) -> bool:
        """Waits for it for a second at most."""
        wanted, until = f"{name}@{socket.gethostname()}", time.monotonic() + LISTEN_S
        while wanted not in heard and (left_s := until - time.monotonic()) > 0:
            with suppress(TimeoutError):
                listening.drain_events(timeout=left_s)
        return wanted in heard

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(
            connection, handlers={"*": lambda event: heard.add(event.get("hostname"))}
        )
        with receiver.consumer_context(wakeup=False) as (listening, _, _):
            yield hears
