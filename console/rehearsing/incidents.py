"""The incidents that can be rehearsed: how each is staged, which level it must raise, and how it is mended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from console.rehearsing.system import System
from console.supervise.programs import Role
from pipeline.domain.decisions import Stage
from pipeline.domain.levels import LevelCode

THIEVES = 8

Staged = Callable[[System], Iterator[None]]
"""Brings the incident about, yields while it lasts, and mends it."""


@dataclass(frozen=True, slots=True)
class Incident:
    """`code`: the level that the watchdog must raise, and what the doctor must name first."""

    name: str
    tells: str
    code: LevelCode
    stage: Staged


def dead_beat(system: System) -> Iterator[None]:
    system.kill(Role.BEAT)
    yield
    system.start(Role.BEAT)


def dead_worker(system: System) -> Iterator[None]:
    system.kill(Role.WORKER_MARKET)
    yield
    system.start(Role.WORKER_MARKET)


def hung_thread(system: System) -> Iterator[None]:
    system.switch.touch()
    yield
    system.switch.unlink()


def queue_without_consumer(system: System) -> Iterator[None]:
    system.stop_politely(Role.WORKER_MARKET)
    system.start_worker([Stage.FETCH.value])
    yield
    system.end_others()
    system.start(Role.WORKER_MARKET)


def cut_path(system: System) -> Iterator[None]:
    """Somebody else takes the messages of a queue out of Redis, and does nothing with them."""
    over = threading.Event()
    thieves = [
        threading.Thread(target=_steal, args=(system.pipeline.settings.redis_url, over), daemon=True)
        for _ in range(THIEVES)
    ]
    for thief in thieves:
        thief.start()
    yield
    over.set()
    for thief in thieves:
        thief.join()


def _steal(url: str, over: threading.Event) -> None:
    with redis.Redis.from_url(url) as client:
        while not over.is_set():
            client.brpop([Stage.EVALUATE.value], timeout=1)


def mute_feed(system: System) -> Iterator[None]:
    system.fault("mute_socket", seconds=600)
    yield
    system.heal_exchange()


def foreign_symbols(system: System) -> Iterator[None]:
    """A generator of its own publishes symbols of which the universe allows none, as in the incident."""
    system.start_generator()
    yield
    system.end_others()


def stale_equity(system: System) -> Iterator[None]:
    system.fault("http_503_internal", endpoint="/fapi/v3/account")
    yield
    system.heal_exchange()


def config_drift(system: System) -> Iterator[None]:
    """A worker of another host, with last week's limits."""
    system.start_worker([Stage.FETCH.value], THROUGHLINE_GOVERNOR_MAX_POSITIONS="7")
    yield
    system.end_others()


def refusing_exchange(system: System) -> Iterator[None]:
    system.fault("http_503_unavailable", endpoint="/fapi/")
    yield
    system.heal_exchange()


def dead_broker(system: System) -> Iterator[None]:
    system.kill(Role.REDIS)
    yield
    system.start(Role.REDIS)


INCIDENTS: Mapping[str, Incident] = {
    incident.name: incident
    for incident in (
        Incident("dead-beat", "beat is killed", LevelCode.BEAT_GONE, dead_beat),
        Incident("dead-worker", "the market worker is killed", LevelCode.WORKER_GONE, dead_worker),
        Incident("hung-thread", "a strategy never returns", LevelCode.THREAD_HUNG, hung_thread),
        Incident(
            "queue-without-consumer",
            "no worker takes messages of the queue evaluate",
            LevelCode.QUEUE_UNCONSUMED,
            queue_without_consumer,
        ),
        Incident(
            "cut-path", "messages vanish between fetch and evaluate", LevelCode.HANDOFF_BROKEN, cut_path
        ),
        Incident("mute-feed", "the sockets stay open and say nothing", LevelCode.FEED_SILENT, mute_feed),
        Incident(
            "foreign-symbols",
            "fifty symbols are published, the universe allows none",
            LevelCode.FOREIGN_SYMBOLS,
            foreign_symbols,
        ),
        Incident(
            "stale-equity", "the exchange does not tell the account", LevelCode.EQUITY_STALE, stale_equity
        ),
        Incident("config-drift", "a worker runs another configuration", LevelCode.CONFIG_DRIFT, config_drift),
        Incident(
            "refusing-exchange", "the exchange refuses everything", LevelCode.EXCHANGE_DOWN, refusing_exchange
        ),
        Incident("dead-broker", "Redis is killed", LevelCode.BROKER_DOWN, dead_broker),
    )
}


@contextmanager
def staged(incident: Incident, system: System) -> Iterator[None]:
    """While the block runs, the incident lasts; then it is mended."""
    lasting = incident.stage(system)
    next(lasting)
    try:
        yield
    finally:
        next(lasting, None)
