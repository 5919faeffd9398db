"""Is it ready? One small question for each program; none of them raises when the answer is no."""

from __future__ import annotations

import re
import socket
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import redis
import requests

from pipeline.domain.errors import ConfigError

if TYPE_CHECKING:
    from celery import Celery

PATIENCE_S = 180.0
"""For what is slow, and for what hangs: a program that ended is named at once."""
LISTEN_S = 1
"""Whole seconds: kombu counts its waits in these."""
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

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._heard: set[str] = set()

    def hears(self, name: str) -> bool:
        """Listens for a second at most; workers say hello at their start and every two seconds from then on."""
        wanted = f"{name}@{socket.gethostname()}"
        if wanted not in self._heard:
            self._listen(wanted, time.monotonic() + LISTEN_S)
        return wanted in self._heard

    def _listen(self, wanted: str, until: float) -> None:
        with self._app.connection_for_read() as connection:
            receiver = self._app.events.Receiver(connection, handlers={"*": self._hear})
            heard = receiver.itercapture(
                timeout=LISTEN_S, wakeup=False
            )  # of silence: others may talk all the time
            with suppress(TimeoutError), closing(heard):
                for _ in heard:
                    if wanted in self._heard or time.monotonic() >= until:
                        return

    def _hear(self, event: dict[str, object]) -> None:
        self._heard.add(str(event.get("hostname")))
