"""The ports of this host's servers: free before the start, or a sentence that says what to change."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from config.settings import Settings
from console.supervise.programs import embeds_redis, embeds_simulator
from pipeline.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port that a program will listen on, with the setting that says so."""

    program: str
    host: str
    port: int
    key: str

    @property
    def variable(self) -> str:
        return "THROUGHLINE_" + self.key.replace(".", "_").upper()


def wanted_ports(settings: Settings) -> Iterator[Wanted]:
    if embeds_redis(settings):
        yield Wanted("Redis", "127.0.0.1", settings.redis.port, "redis.port")
    if embeds_simulator(settings):
        yield Wanted("the simulated exchange", "127.0.0.1", settings.simulator.port, "simulator.port")
    if settings.metrics.enabled:
        yield Wanted(
            "the endpoint for Prometheus", settings.metrics.host, settings.metrics.port, "metrics.port"
        )
    if settings.flower.enabled:
        yield Wanted("Flower", settings.flower.host, settings.flower.port, "flower.port")


def settle(settings: Settings) -> dict[str, int]:
    """The port to use for each key: as configured, or a free one where 0 asks for any.

    Raises: ConfigError when one is in use, or wanted twice.
    """
    settled: dict[str, int] = {}
    for wanted in wanted_ports(settings):
        port = wanted.port or free_port(wanted.host)
        if port in settled.values():
            raise _conflict(wanted, f"port {port} is given to two servers")
        if not is_free(wanted.host, port):
            raise _conflict(wanted, f"port {port} is in use{_by_whom(port)}, and {wanted.program} needs it")
        settled[wanted.key] = port
    return settled


def _conflict(wanted: Wanted, what: str) -> ConfigError:
    remedy = f"stop what uses it, or set {wanted.variable} to another port (0 takes any free one)"
    return ConfigError(what, where=wanted.key, remedy=remedy)


def is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still fading away counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _by_whom(port: int) -> str:
    """` by redis-server (pid 1234)` where the system tells us, else nothing."""
    try:
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        return ""
    return ""
