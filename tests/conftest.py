"""Fixtures for every test, and what makes a run repeatable: a clean environment, servers that never stay."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")

from tests.support.servers import PostgresServer, RedisServer, Simulator, Unavailable  # noqa: E402 - after the rewrite

TESTS = Path(__file__).resolve().parent
SLOW_FIRST = ("hosts", "fault", "integration", "unit")
FOREIGN = ("THROUGHLINE_", "TRADING_SYMBOLS", "SENTRY_", "CELERY_")

# Examples may be slow on two shared cores; that says nothing about the code.
settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("default")


def pytest_configure(config: pytest.Config) -> None:
    """Settings of whoever runs the tests must not change their outcome; SIGTERM cleans up like Ctrl-C."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@pytest.hookimpl(tryfirst=True)  # before -m deselects by these very markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folder and fixtures tell the markers: nobody has to remember them. Slow files come first, so that both workers
    end together; within a kind the order is random.
    """
    items.sort(key=lambda item: SLOW_FIRST.index(item.path.relative_to(TESTS).parts[0]))
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in SLOW_FIRST[:-1]:
            item.add_marker(folder)
        if {"postgres_server", "postgres_url"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("postgres")


# ------------------------------------------------------------------------------------------------------ Redis


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the tests of this process that only need an empty one."""
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def start_redis() -> Iterator[Callable[[], RedisServer]]:
    """Starts a Redis that the test may kill, flush and start again as it likes."""
    servers: list[RedisServer] = []

    def start() -> RedisServer:
        servers.append(RedisServer())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


# ------------------------------------------------------------------------------------------------- PostgreSQL


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL cluster. Without binaries: skips, or fails when TEST_REQUIRE_POSTGRES is set."""
    try:
        server = PostgresServer()
    except Unavailable as reason:
        if os.environ.get("TEST_REQUIRE_POSTGRES"):
            pytest.fail(f"TEST_REQUIRE_POSTGRES is set, but: {reason}")
        pytest.skip(str(reason))
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """SQLAlchemy's address of a new, empty database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


# ------------------------------------------------------------------------------------- the simulated exchange


@pytest.fixture(scope="session")
def simulator_url() -> Iterator[str]:
    """A simulated exchange for tests that only read prices and do not mind each other."""
    server = Simulator("--seed", "7")
    yield server.url
    server.stop()


@pytest.fixture
def start_simulator() -> Iterator[Callable[..., Simulator]]:
    """Starts a simulated exchange with the given command line options, for this test alone."""
    servers: list[Simulator] = []

    def start(*options: str) -> Simulator:
        servers.append(Simulator(*options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def simulator(start_simulator: Callable[..., Simulator]) -> Simulator:
    """A fresh simulated exchange, for this test alone."""
    return start_simulator("--seed", "7")


# ------------------------------------------------------------------------------------------------------ files


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty THROUGHLINE_HOME: logs, sessions, ledger and embedded Redis of this test alone."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("THROUGHLINE_HOME", str(folder))
    return folder
