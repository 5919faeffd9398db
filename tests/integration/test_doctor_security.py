"""`doctor --security` against real servers, open ones and closed ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from config.home import ensure_home
from config.settings import Settings
from console.main import application
from console.securing import ledger
from console.securing import redis as looking_at_redis
from console.securing.answers import Told
from pipeline.ledger.rights import grant
from pipeline.ledger.sql import SqlLedger
from pipeline.watch.checks import Status
from tasks.access import rules
from tests.support.processes import free_port
from tests.support.servers import PostgresServer, RedisServer

ROLE = "throughline_doctor"
PASSWORD = "a-password-of-many-characters"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """Ours alone: it gets users."""
    started = RedisServer()
    yield started
    started.stop()


def seen(url: str) -> dict[str, Status]:
    """The answers about a Redis at this address."""
    return {
        each.about: each.status
        for each in looking_at_redis.look(Settings.model_validate({"redis": {"url": url}}))
    }


def test_an_open_redis_is_found_and_one_with_users_is_not(server: RedisServer) -> None:
    """0.0.0.0 leads here as well, and is no loopback address: what is open there is open to others."""
    open_to_all = seen(f"redis://0.0.0.0:{server.port}/0")
    assert open_to_all == dict.fromkeys(("redis: wire", "redis: login", "redis: rights"), Status.FINDING)

    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "market", *rules("market", PASSWORD))
        admin.execute_command("ACL", "SETUSER", "default", "off")
    closed = seen(f"redis://market:{PASSWORD}@127.0.0.1:{server.port}/0")
    assert closed == dict.fromkeys(("redis: wire", "redis: login", "redis: rights"), Status.OK)


def test_a_redis_that_does_not_answer_is_unknown() -> None:
    """What was not seen is not closed."""
    assert seen(f"redis://127.0.0.1:{free_port()}/0")["redis"] is Status.UNKNOWN


@pytest.mark.postgres
def test_a_ledger_role_with_more_than_it_needs_is_found(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """The owner may empty what only grows; the role that was granted its rights may not."""
    owner = SqlLedger(postgres_url)
    owner.migrate()
    postgres_server.create_role(ROLE)
    grant(owner.engine, ROLE)
    assert rights(postgres_url).status is Status.FINDING
    granted = postgres_url.replace(f"{PostgresServer.USER}@", f"{ROLE}@")
    assert rights(granted).status is Status.OK
    with owner.engine.begin() as connection:
        connection.exec_driver_sql(f"GRANT DELETE ON fills TO {ROLE}")
    told = rights(granted)
    assert (told.status, "DELETE fills" in told.saw) == (Status.FINDING, True)
    owner.close()


def rights(url: str) -> Told:
    *_, told = ledger.look(Settings.model_validate({"ledger": {"url": url}}))
    return told


def test_the_command_says_what_it_saw_and_ends_with_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs it from a script needs the code; whoever reads it, the next step."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(ensure_home(tmp_path / "home").root))
    asked = ["doctor", "--security", "--role", "watch", "--json"]
    command = application(["doctor", "health"])
    assert CliRunner().invoke(command, asked).exit_code == 0
    monkeypatch.setenv("THROUGHLINE_GOVERNOR_PERMIT_KEY", "guessable")
    ended = CliRunner().invoke(command, asked)
    assert ended.exit_code == 1
    findings = {each["about"] for each in json.loads(ended.stdout) if each["status"] == "finding"}
    assert findings == {"keys: permit key", "keys: places"}
    assert "guessable" not in ended.stdout
