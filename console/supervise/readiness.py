"""Is it ready? One small question for each program; none of them raises when the answer is no."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING

import redis
import requests

from pipeline.domain.errors import ConfigError

if TYPE_CHECKING:
    from celery import Celery

SUPERVISOR_S = 15.0
REDIS_S = 20.0
SIMULATOR_S = 30.0
FEED_S = 30.0
WORKERS_S = 60.0
BEAT_S = 20.0
WATCH_S = 20.0
FLOWER_S = 30.0
EXPORTER_S = 30.0
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


class WorkersOnline:
    """Which workers have been heard. Heartbeats are heard of workers without remote control as well."""

    def __init__(self, app: Celery, names: Collection[str]) -> None:
        self._app = app
        self._wanted = {f"{name}@{socket.gethostname()}" for name in names}

    def heard_all(self) -> bool:
        """Listens for a second; workers say hello at their start and every two seconds from then on."""
        with self._app.connection_for_read() as connection:
            receiver = self._app.events.Receiver(connection, handlers={"*": self._hear})
            with suppress(TimeoutError):
                receiver.capture(limit=50, timeout=1, wakeup=False)
        return not self._wanted

    def _hear(self, event: dict[str, object]) -> None:
        self._wanted.discard(str(event.get("hostname")))
