"""Who may do what in Redis: one user for each role, in one readable table.

A role's user reaches the keys and channels that it needs and no others, by the commands that it needs and no others.
Nobody may configure the server, empty it, list its keys, or load a module. Written for Redis 6.2 and newer.

Redis 6.2 knows no "may write, but not read" for a key: who may push into a queue may also empty it. That costs time,
and the sweeper publishes again what the ledger still has open; it moves no money, for every message is signed and
every order needs a permit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.domain.decisions import Stage
from pipeline.watch.broker import held_key
from tasks.policies import UPKEEP_QUEUE

FETCH, EVALUATE, VALIDATE, EXECUTE = (stage.value for stage in Stage)
MARKET_QUEUES = (FETCH, EVALUATE)
ORDERS_QUEUES = (VALIDATE, EXECUTE, UPKEEP_QUEUE)


@dataclass(frozen=True, slots=True)
class Access:
    """What a user may touch, in Redis' own patterns, and by which commands."""

    keys: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def __or__(self, other: Access) -> Access:
        return Access(
            _union(self.keys, other.keys),
            _union(self.commands, other.commands),
            _union(self.channels, other.channels),
        )


def _union(*told: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for part in told for each in part))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def queues(*names: str) -> Access:
    """To put messages into them. Kombu keeps four lists for a queue, one for each priority."""
    return Access(keys=tuple(key for name in names for key in (name, f"{name}??[369]")), commands=("lpush",))


def consuming(holder: str) -> Access:
    """To take messages, hold them until they are done, and put back what a dead worker held."""
    held = held_key(holder)
    return Access(
        keys=(held, f"{held}:*", "_kombu.binding*"),
        commands=_words(
            "brpop rpop rpush llen lrange exists hset hget hdel zadd zrem zrange zrangebyscore sadd srem smembers "
            "del set get pexpire watch unwatch"
        ),
    )


CONNECTED = Access(commands=_words("hello select ping client|setname multi exec discard"))
SCRIPTS = Access(commands=_words("eval evalsha script|load script|exists time"))
TELLING = Access(channels=("/{db}.celeryev/*",), commands=("publish",))
"""Events of workers and tasks: what Flower shows."""
HEARING = Access(
    channels=("/{db}.celeryev/*",),
    keys=("celeryev.*", "_kombu.binding*"),
    commands=_words(
        "subscribe psubscribe unsubscribe punsubscribe llen del exists sadd srem smembers zadd zrem zrangebyscore"
    ),
)
REMOTE = Access(
    channels=("/{db}.celery.pidbox",),
    keys=("*.celery.pidbox", "*.celery.pidbox??[369]"),
    commands=_words("publish subscribe psubscribe unsubscribe punsubscribe lpush llen del exists"),
)
"""To be asked by remote control, and answer: workers that send no orders only."""
ASKING = Access(
    channels=REMOTE.channels,
    keys=(
        "*.reply.celery.pidbox",
        "*.reply.celery.pidbox??[369]",
        held_key("clients"),
        held_key("clients:*"),
    ),
    commands=_words("publish brpop rpop llen del exists hset hdel zadd zrem zrange set get"),
)
"""To ask, and take the answers."""
PULSE = Access(
    keys=("tl:pulses:*", "tl:watch:*"), commands=_words("hset hget hgetall hdel expire set get info")
)
"""A sign of life, and a look at those of others; whoever finds the watchdog dead tells it once."""
BUDGET = SCRIPTS | Access(
    keys=("tl:budget:*",), commands=_words("hget hset hmget hgetall hincrby hdel expire pexpireat")
)
CANDLES = SCRIPTS | Access(keys=("tl:candles:*", "tl:asking:*"), commands=_words("mget get getrange set del"))
LEADING = SCRIPTS | Access(keys=("tl:beat:*", "tl:feed:*"), commands=_words("get set del hget hset hincrby"))
WATCHING = PULSE | Access(
    keys=(*queues(*MARKET_QUEUES, *ORDERS_QUEUES).keys, held_key("*"), "tl:feed:*"),
    commands=_words("llen lrange hvals hgetall hincrby del"),
)

ACCESS: Mapping[str, Access] = {
    # Workers of fetch and evaluate: take bars, judge them, and hand on to validate; never into execute.
    "market": CONNECTED | consuming("market") | queues(FETCH, EVALUATE, VALIDATE) | TELLING | REMOTE | PULSE
    | BUDGET | CANDLES,
    # Workers of validate, execute and upkeep; the sweeper publishes into every queue. No remote control.
    "orders": CONNECTED | consuming("orders") | queues(*MARKET_QUEUES, *ORDERS_QUEUES) | TELLING | PULSE
    | BUDGET | CANDLES,
    # Beat and the feed: ask for passes and upkeep, keep the candles.
    "schedule": CONNECTED | queues(FETCH, UPKEEP_QUEUE) | PULSE | BUDGET | CANDLES | LEADING,
    # The watchdog and the exporter: look at everything, put nothing into a queue.
    "watch": CONNECTED | WATCHING | BUDGET,
    # Flower: hears events, asks workers, counts queues. A web page asks for no passes: it puts nothing anywhere.
    "flower": CONNECTED | HEARING | ASKING | SCRIPTS
    | Access(keys=queues(*MARKET_QUEUES, *ORDERS_QUEUES).keys, commands=("llen",)),
    # A person with `throughline`: looks at everything, asks for passes. Whoever has the ledger may do more than that.
    "operator": CONNECTED | WATCHING | queues(FETCH) | BUDGET | CANDLES,
}  # fmt: skip
"""The roles. The simulated exchange needs no Redis."""


def rules(role: str, password: str, db: int = 0) -> list[str]:
    """The role's user as words of `ACL SETUSER` or of an ACL file. The password stands in them as its hash only."""
    access = ACCESS[role]
    return [
        "reset",
        "on",
        f"#{hashlib.sha256(password.encode()).hexdigest()}",
        *(f"~{key}" for key in access.keys),
        "resetchannels",
        *(f"&{channel.format(db=db)}" for channel in access.channels),
        *(f"+{command}" for command in sorted(access.commands)),
    ]


def acl_file(passwords: Mapping[str, str], db: int = 0) -> str:
    """The users that have a password, as an ACL file: `redis-server --aclfile`. Nobody comes in without one."""
    lines = [
        f"user {role} {' '.join(rules(role, passwords[role], db))}" for role in ACCESS if role in passwords
    ]
    return "\n".join(["user default reset off", *lines]) + "\n"


def described(roles: Iterable[str] = ACCESS) -> Iterator[tuple[str, str, str, str]]:
    """Role, keys, channels, commands: the table for people."""
    for role in roles:
        access = ACCESS[role]
        yield role, " ".join(access.keys), " ".join(access.channels), " ".join(sorted(access.commands))
