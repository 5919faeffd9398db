"""A worker that runs `tests.support.ways`, with a Redis of its own."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
from celery import Celery

from config.loading import load
from pipeline.bootstrap import build
from tasks import signing
from tests.support.clients import message_key_of, trusted_client
from tests.support.processes import Started, temporary_folder
from tests.support.servers import RedisServer
from tests.support.waiting import eventually
from tests.support.ways import SEEN

WORKER = ["-m", "celery", "-A", "tests.support.ways", "worker", "-n", "ways@%h", "-Q", "upkeep", "-c", "1"]
WORKER += ["--without-gossip", "--without-mingle"]  # as the pipeline's own workers


@dataclass
class WaysWorker:
    """Starts at once and is not waited for: what is sent meanwhile waits in Redis. `settings`: THROUGHLINE_*."""

    settings: Mapping[str, str] = field(default_factory=dict)
    redis: RedisServer = field(default_factory=RedisServer)

    def __post_init__(self) -> None:
        self.home = temporary_folder("ways")
        env = {"THROUGHLINE_HOME": str(self.home), "THROUGHLINE_REDIS_URL": self.redis.url, **self.settings}
        pipeline = build(load(env=env))
        pipeline.ledger.migrate()
        pipeline.ledger.close()
        self.client: redis.Redis = redis.Redis.from_url(self.redis.url)
        self._stranger = trusted_client("stranger", self.redis.url, self.home)
        self.process = Started("ways", [sys.executable, *WORKER], self.home / "ways.out", env=env)

    @property
    def stranger(self) -> Celery:
        """A program that has no handlers of ours, but the key of our messages: this worker's, of several in a test."""
        signing.use(message_key_of(self.home))
        return self._stranger

    def seen(self, way: str, times: int = 1) -> list[dict[str, Any]]:
        """The deliveries of the message that was published that way, in their order, once there are so many."""

        def look() -> list[dict[str, Any]] | None:
            if not self.process.is_running():
                raise RuntimeError(f"the worker ended and said:\n{self.process.output()[-2000:]}")
            told = [json.loads(line) for line in self.client.lrange(SEEN, 0, -1)]
            found = [each for each in told if each["way"] == way]
            return found if len(found) >= times else None

        return eventually(look, 20, f"{way} to be seen")

    def queued(self, queue: str) -> list[bytes]:
        """The messages of a queue, as they lie in Redis."""
        found = self.client.lrange(queue, 0, -1)
        return [message for message in found if isinstance(message, bytes)]

    def stop(self) -> None:
        self.process.stop(signal.SIGKILL)  # nothing of it is needed any more, and it takes its time
        self._stranger.close()
        self.client.close()
        self.redis.stop()
