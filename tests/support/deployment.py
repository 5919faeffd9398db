"""`docker/` without an engine: its servers and roles as processes of this machine, each with the secrets that it gets.

Redis and PostgreSQL are started with the committed configuration, over the secrets that `make_secrets.py` makes. A role
gets the command, the variables and the secrets of its service and no others; only places differ: ports of this machine
instead of the containers' names, a folder of its own instead of /run/secrets. Redis has its TLS from a door before it:
the redis-server of a wheel was built without.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import redis
import yaml

from pipeline.watch.door import login
from tests.support.compose import DOCKER, composed
from tests.support.processes import ROOT, Started, free_port, temporary_folder
from tests.support.servers import PostgresServer, redis_binary
from tests.support.tls import TlsDoor
from tests.support.waiting import eventually

SECRETS = "/run/secrets"
QUICK: Mapping[str, Any] = {
    "strategies": {"folder": str(ROOT / "tests/support/strategies"), "enabled": ["always_buys"]},
    "universe": {"symbols": ["BTCUSDT", "ETHUSDT", "SOLUSDT"]},
    "market": {"timeframes": ["1m", "5m", "15m"]},
    "chain": {"cadence_s": 5},
    "logging": {"keep_free_mb": 0},
    "simulator": {"symbols": 3},
}


def made_secrets(into: Path) -> Path:
    """The folder that the script makes."""
    subprocess.run(
        [sys.executable, DOCKER / "make_secrets.py", "--into", into], check=True, capture_output=True
    )
    return into / "secrets"


class DeployedPostgres(PostgresServer):
    """A cluster as `docker/postgres` makes it, with TLS and passwords."""

    USER = "throughline_owner"

    def __init__(self, secrets: Path) -> None:
        self._secrets = secrets
        super().__init__()
        # What the image's own entry point does, before it runs ours.
        password = (secrets / "data/postgres_owner").read_text(encoding="utf-8").strip()
        self._administer(f"ALTER ROLE {self.USER} PASSWORD '{password}'")
        self._administer("CREATE DATABASE throughline")
        self._make_roles()

    def _make_roles(self) -> None:
        here = {
            "PATH": f"{self.binaries}:{os.environ['PATH']}",
            "PGHOST": str(self.folder),
            "PGPORT": str(self.port),
            "POSTGRES_USER": self.USER,
            "POSTGRES_DB": "throughline",
            "SECRETS": str(self._secrets / "data"),
        }
        subprocess.run([DOCKER / "postgres" / "roles.sh"], env=here, check=True, capture_output=True)

    def _launch(self) -> Started:
        data = self.folder / "data"
        for source, mode in (
            (DOCKER / "postgres/pg_hba.conf", 0o644),
            (self._secrets / "data/postgres_cert", 0o644),
            (self._secrets / "data/postgres_key", 0o600),
        ):
            place = self.folder / source.name
            shutil.copyfile(source, place)
            place.chmod(mode)
            self._hand_over(place)
        told = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder}
        plain = [part for name, value in told.items() for part in ("-c", f"{name}={value}")]
        options = [str(each) for each in (*plain, *self._committed(), "-c", "fsync=off")]
        command: list[str | Path] = [self.binaries / "postgres", "-D", data, *options]
        log = self.folder / "postgres.log"
        return Started("postgres", command, log, user=self.account, cwd=self.folder)

    def _committed(self) -> list[str | Path]:
        """What `start.sh` hands to the server, with the files where they are here."""
        script = (DOCKER / "postgres/start.sh").read_text(encoding="utf-8")
        found = re.findall(r"-c (\w+)=(\S+)", script)
        moved = {"hba_file": "pg_hba.conf", "ssl_cert_file": "postgres_cert", "ssl_key_file": "postgres_key"}
        here = {name: self.folder / file for name, file in moved.items()}
        return [part for name, value in found for part in ("-c", f"{name}={here.get(name, value)}")]

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._socket("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def count(self, question: str) -> int:
        with psycopg.connect(self._socket("throughline")) as connection:
            [(number,)] = connection.execute(question.encode()).fetchall()
        return int(number)

    def _socket(self, database: str) -> str:
        return f"host={self.folder} port={self.port} user={self.USER} dbname={database}"


class DeployedRedis:
    """redis-server with `docker/redis/redis.conf` and the users of the ACL file, behind a door with TLS."""

    def __init__(self, secrets: Path) -> None:
        self.folder, self._port = temporary_folder("redis"), free_port()
        lines = (DOCKER / "redis/redis.conf").read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith(("tls-", "port ", "dir ", "aclfile "))]
        acl = self.folder / "acl"
        shutil.copyfile(secrets / "data/redis_acl", acl)
        kept += [f"port {self._port}", "bind 127.0.0.1", f"dir {self.folder}", f"aclfile {acl}"]
        config = self.folder / "redis.conf"
        config.write_text("\n".join(kept), encoding="utf-8")
        self.process = Started("redis-server", [redis_binary(), config], self.folder / "redis.log")
        eventually(self._answers, what=f"redis-server on port {self._port} to answer")
        self._door = TlsDoor(self._port, (f"{secrets}/data/redis_cert", f"{secrets}/data/redis_key"))

    @property
    def port(self) -> int:
        """Where it answers with TLS."""
        return self._door.port

    def stop(self) -> None:
        self._door.close()
        self.process.stop()

    def _answers(self) -> bool:
        if not self.process.is_running():
            raise RuntimeError(f"redis-server ended at once and said:\n{self.process.output()[-2000:]}")
        try:
            with redis.Redis(host="127.0.0.1", port=self._port) as client:
                client.ping()
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False
        raise RuntimeError("Redis answers somebody without a password")


class Deployment:
    """One host of it. `start` starts a service, `run` waits for one that ends."""

    def __init__(self) -> None:
        self.folder = temporary_folder("deployed")
        self.secrets = made_secrets(self.folder)
        told = composed(DOCKER / "compose.yaml", {"THROUGHLINE_HOST": "alpha"})
        self.services, self._files = told["services"], told["secrets"]
        self.ports = {name: free_port() for name in ("simulator", "metrics", "flower")}
        self.config = self._configured()
        self.processes: dict[str, Started] = {}
        self.redis = DeployedRedis(self.secrets)
        self.postgres = DeployedPostgres(self.secrets)

    def _configured(self) -> Path:
        """The committed file, and a quick rhythm for a small universe."""
        told = yaml.safe_load((DOCKER / "throughline.yaml").read_text(encoding="utf-8"))
        ports = {name: {**QUICK.get(name, {}), "port": port} for name, port in self.ports.items()}
        path = self.folder / "throughline.yaml"
        path.write_text(yaml.safe_dump({**told, **QUICK, **ports}), encoding="utf-8")
        return path

    def environment(self, name: str) -> dict[str, str]:
        """All that a service's container would know, for this machine."""
        own = self.folder / name
        for folder in (own, own / "secrets", own / "home"):
            folder.mkdir(mode=0o700, exist_ok=True)
        service = self.services[name]
        for secret in service.get("secrets", ()):
            text = (DOCKER / self._files[secret]["file"]).relative_to(DOCKER)
            place = own / "secrets" / secret
            place.write_text(self._moved((self.folder / text).read_text(), own))
            place.chmod(0o600)
        told = {key: self._moved(value, own) for key, value in service["environment"].items()}
        return {**told, "THROUGHLINE_HOME": str(own / "home"), "THROUGHLINE_CONFIG": str(self.config)}

    def _moved(self, text: str, own: Path) -> str:
        places = {
            SECRETS: str(own / "secrets"),
            "/var/lib/throughline": str(own / "home"),
            "@redis:6379": f"@127.0.0.1:{self.redis.port}",
            "@postgres:5432": f"@127.0.0.1:{self.postgres.port}",
            "simulator:8390": f"127.0.0.1:{self.ports['simulator']}",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what is replaced
        }
        for there, here in places.items():
            text = text.replace(there, here)
        return text

    # -- services ---------------------------------------------------------------------------------------------

    def _process(self, name: str, arguments: list[str]) -> Started:
        log = self.folder / f"{name}-{len(list(self.folder.glob('*.out')))}.out"
        moved = [self._moved(each, self.folder / name) for each in arguments]
        command = [sys.executable, "-m", "console", *moved]
        return Started(name, command, log, env=self.environment(name))

    def start(self, name: str) -> Started:
        self.processes[name] = self._process(name, self.services[name]["command"])
        return self.processes[name]

    def run(self, name: str, *arguments: str, code: int = 0) -> str:
        """One command in the place of a service; what it said. Fails unless it ends with `code`."""
        process = self._process(name, list(arguments) or self.services[name]["command"])
        ended = process.wait(60)
        assert ended == code, f"{name} {arguments} ended with {ended}:\n{process.output()[-3000:]}"
        return process.output()

    def is_healthy(self, name: str) -> bool:
        """What the service's own health check says."""
        self.require_running()
        _, program, *arguments = self.services[name]["healthcheck"]["test"]
        assert program == "throughline"
        return self._process(name, arguments).wait(60) == 0

    def stopped(self, name: str) -> int:
        """Its exit code, once it has ended as an engine's `stop` asks it to."""
        patience = self.services[name].get("stop_grace_period", "10s")
        return self.processes.pop(name).stop(timeout=float(patience.removesuffix("s")))

    def require_running(self) -> None:
        """Raises: RuntimeError with the last words of a role that has ended."""
        for name, process in self.processes.items():
            if not process.is_running():
                raise RuntimeError(f"{name} ended and said:\n{process.output()[-3000:]}")

    def tail(self) -> str:
        return "\n".join(f"--- {name}: {each.output()[-600:]}" for name, each in self.processes.items())

    def counted(self, table: str, where: str) -> int:
        """Rows of the ledger, as its owner sees them."""
        return self.postgres.count(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608 - words of a test

    def page(self, port: str, path: str, password: str = "") -> str:
        """Its text; empty while nobody answers. `password`: the secret that opens it."""
        opens = {"Authorization": login((self.secrets / password).read_text().strip())} if password else {}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.ports[port]}{path}", headers=opens)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - our own address
                text: str = answer.read().decode()
        except OSError:
            return ""
        return text

    def stop(self) -> None:
        for process in reversed(list(self.processes.values())):
            process.stop(timeout=45)
        self.postgres.stop()
        self.redis.stop()
