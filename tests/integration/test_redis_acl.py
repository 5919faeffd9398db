"""Each role under its own user of Redis: the whole chain runs, and nobody may do what it need not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import redis
from typer.testing import CliRunner

from console.main import application
from pipeline.domain.ids import DecisionId
from pipeline.watch.broker import held_key
from tasks.access import ACCESS, ORDERS_QUEUES, rules
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.processes import Started, free_port, temporary_folder
from tests.support.servers import redis_binary
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("acl")

TRIED = "-tried"
NOT_MISSED = frozenset({"client", "client|setinfo", "client|maint_notifications"})
"""What the client library tells of itself, and does without."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A running chain whose every process comes under its role's user."""

    chain: ChainProcesses
    admin: redis.Redis

    def env(self, role: str) -> dict[str, str]:
        """The role's address of Redis; the account's keys only for who trades, or asks for the account."""
        told = {"REDIS_URL": self.chain.redis.url.replace("//", f"//{role}:{password(role)}@")}
        if role not in {"orders", "operator"}:
            told |= {"EXCHANGE_API_KEY": "", "EXCHANGE_API_SECRET": ""}
        return {f"THROUGHLINE_{name}": value for name, value in told.items()}

    def as_user(self, role: str) -> redis.Redis:
        """With the role's rights, but told apart from its processes in the list of what was refused."""
        return redis.Redis(port=self.chain.redis.port, username=f"{role}{TRIED}", password=password(role))

    def start(self, name: str, role: str) -> None:
        command = [sys.executable, "-m", "console", name]
        out = self.chain.home / f"{name}.out"
        self.chain.processes[name] = Started(name, command, out, env={**self.chain.env, **self.env(role)})

    def refused(self) -> list[dict[str, Any]]:
        """What Redis has refused to the processes so far."""
        log = self.admin.acl_log()
        return [each for each in log if each["username"] in ACCESS and each["object"] not in NOT_MISSED]


def password(role: str) -> str:
    return f"secret-of-{role}"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """All roles, each under its own user; a market worker was killed with its messages held and came back."""
    told = {
        "STRATEGIES_ENABLED": "always_buys",
        "CHAIN_CADENCE_S": "5",
        "CHAIN_VISIBILITY_TIMEOUT_S": "10",
        "CHAIN_SOFT_TIME_LIMIT_S": "3.5",
        "CHAIN_HARD_TIME_LIMIT_S": "4.5",
        "FEED_DECIDE_AT_CLOSE": "1m",
        "METRICS_PORT": str(free_port()),
        "FLOWER_PORT": str(free_port()),
    }
    with chain_processes(**told) as chain, redis.Redis.from_url(chain.redis.url) as admin:
        guarded = Guarded(chain, admin)
        admin.config_set("acllog-max-len", 1000)
        for role in ACCESS:
            for user in (role, f"{role}{TRIED}"):
                words = ("ACL", "SETUSER", user, *rules(role, password(role)))
                admin.execute_command(*words)
        admin.acl_log_reset()
        chain.start_worker("market", env=guarded.env("market"))
        chain.start_worker("orders", env=guarded.env("orders"))
        chain.start("beat", "", "beat", "--pidfile=", env=guarded.env("schedule"))
        for name, role in (
            ("feed", "schedule"),
            ("watch", "watch"),
            ("exporter", "watch"),
            ("flower", "flower"),
        ):
            guarded.start(name, role)
        yield guarded


def test_the_whole_chain_runs_with_each_role_under_its_own_user(guarded: Guarded) -> None:
    """Rights that are too narrow would be widened by somebody in a hurry, to everything."""
    chain = guarded.chain
    eventually(lambda: chain.counts().get("executed", 0) >= 3, 60, f"orders; {chain.tail()}")
    eventually(lambda: guarded.admin.hlen("tl:pulses:paper-main") >= 5, 30, "everybody's sign of life")
    for child in psutil.Process(chain.processes["market"].pid).children():
        child.kill()
    chain.processes["market"].kill()
    guarded.admin.zadd(f"{held_key('market')}:index", {"left-behind": 1})
    guarded.admin.hset(held_key("market"), "left-behind", "[{}, '', 'fetch']".replace("'", '"'))
    chain.start_worker("market", env=guarded.env("market"))
    before = chain.counts().get("executed", 0)
    eventually(lambda: chain.counts().get("executed", 0) > before, 60, f"more orders; {chain.tail()}")
    eventually(
        lambda: not guarded.admin.hexists(held_key("market"), "left-behind"),
        30,
        "what was held to be put back",
    )
    chain.env.update(guarded.env("operator"))
    chain.ended(asked_for(chain), timeout=60)
    chain.run("doctor", code=None)
    chain.env.update(guarded.env("market"))
    chain.run("health", "market")
    assert guarded.refused() == []


FORBIDDEN = {
    "configuring": ("CONFIG", "GET", "requirepass"),
    "emptying": ("FLUSHALL",),
    "emptying one database": ("FLUSHDB",),
    "listing keys": ("KEYS", "*"),
    "scanning": ("SCAN", "0"),
    "watching everybody": ("MONITOR",),
    "making users": ("ACL", "SETUSER", "me", "on", "nopass", "~*", "+@all"),
    "forgetting everybody's scripts": ("SCRIPT", "FLUSH"),
    "killing scripts": ("SCRIPT", "KILL"),
    "modules": ("MODULE", "LIST"),
    "replication": ("REPLICAOF", "NO", "ONE"),
    "stopping": ("SHUTDOWN", "NOSAVE"),
    "debugging": ("DEBUG", "SLEEP", "0"),
    "saving": ("BGSAVE",),
    "disconnecting others": ("CLIENT", "KILL", "TYPE", "normal"),
    "a foreign key": ("SET", "anything", "1"),
}


@pytest.mark.parametrize("role", ACCESS)
def test_nobody_may_do_what_no_role_needs(guarded: Guarded, role: str) -> None:
    """Whoever finds one role's password must not own the server."""
    with guarded.as_user(role) as client:
        for what, command in FORBIDDEN.items():
            assert not _allowed(client, *command), f"{role} may do this: {what}"


MAY_ASK_FOR = {
    "market": {"fetch", "evaluate", "validate"},
    "orders": {"fetch", "evaluate", *ORDERS_QUEUES},
    "schedule": {"fetch", "upkeep"},
    "watch": set[str](),
    "flower": set[str](),
    "operator": {
        "fetch",
        "evaluate",
        *ORDERS_QUEUES,
    },  # it may look into all, and push into one: Redis 6.2 says both
}
MAY_HOLD = {
    "market": ["market"],
    "orders": ["orders"],
    "watch": ["market", "orders"],  # the same; what it puts there must be signed, and it has no key
    "operator": ["market", "orders"],
}


@pytest.mark.parametrize("role", ACCESS)
def test_a_role_pushes_only_into_the_queues_that_it_hands_on_to(guarded: Guarded, role: str) -> None:
    """A market host that fell must not reach the hosts that send orders."""
    with guarded.as_user(role) as client:
        for queue in ("fetch", "evaluate", *ORDERS_QUEUES):
            for key in (queue, f"{queue}\x06\x169"):
                for command in ("LPUSH", "RPUSH"):
                    allowed = _allowed(client, command, key, "not a message")
                    assert not allowed or queue in MAY_ASK_FOR[role], (role, key)
                assert _allowed(client, "LPUSH", key, "not a message") == (queue in MAY_ASK_FOR[role])


def test_nobody_puts_back_what_workers_of_another_kind_held(guarded: Guarded) -> None:
    """What is held comes back as a message: it would be a way around the queues."""
    for role in ACCESS:
        with guarded.as_user(role) as client:
            for holder in ("market", "orders"):
                allowed = _allowed(client, "HSET", held_key(holder), "x", "not a message")
                assert allowed == (holder in MAY_HOLD.get(role, ())), (role, holder)


def test_no_role_but_workers_of_candles_and_flower_hears_remote_control(guarded: Guarded) -> None:
    """Where orders are sent it is off; Redis does not even hand it on."""
    for role in ACCESS:
        with guarded.as_user(role) as client:
            assert _allowed(client, "PUBLISH", "/0.celery.pidbox", "x") == (role in {"market", "flower"}), (
                role
            )


def _allowed(client: redis.Redis, *command: str) -> bool:
    try:
        client.execute_command(*command)  # type: ignore[no-untyped-call]  # no types
    except redis.exceptions.NoPermissionError:
        return False
    except redis.exceptions.ResponseError as error:
        return "not allowed" not in str(error)  # from Redis 7 on DEBUG is switched off for everybody
    return True


def test_the_file_that_the_command_writes_is_what_redis_wants(tmp_path: Any) -> None:
    """Passwords are made, read from files, and stand in it as hashes; nobody comes in without one."""
    made = CliRunner().invoke(
        application(["migrate", "redis-acl"]),
        ["redis-acl", "--passwords", str(tmp_path / "p"), "--make", "--output", str(tmp_path / "users.acl")],
    )
    assert made.exit_code == 0, made.output
    secret = (tmp_path / "p" / "market").read_text()
    assert secret not in (tmp_path / "users.acl").read_text()
    assert (tmp_path / "users.acl").stat().st_mode & 0o777 == 0o600
    port, folder = free_port(), temporary_folder("acl")
    command = [redis_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
    server = Started(
        "redis", [*map(str, command), "--aclfile", str(tmp_path / "users.acl")], folder / "redis.log"
    )
    try:
        market = redis.Redis(port=port, username="market", password=secret)
        eventually(lambda: _answers(market), 20, f"redis-server with the file; it said {server.output()}")
        with redis.Redis(port=port) as nobody, pytest.raises(redis.exceptions.AuthenticationError):
            nobody.ping()
        market.close()
    finally:
        server.stop()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.AuthenticationError:
        raise
    except redis.ConnectionError:
        return False


def test_a_password_that_could_be_guessed_makes_no_user(tmp_path: Any) -> None:
    """Redis answers a million guesses a second."""
    (tmp_path / "market").write_text("market\n")
    told = CliRunner().invoke(
        application(["migrate", "redis-acl"]), ["redis-acl", "--passwords", str(tmp_path)]
    )
    assert told.exit_code != 0
    assert "no password" in str(told.exception)


def asked_for(chain: ChainProcesses) -> DecisionId:
    """As a person asks for a pass, by the command and its own way to Redis."""
    return DecisionId(json.loads(chain.run("enqueue", "BTCUSDT", "--json").output())["decision_id"])
