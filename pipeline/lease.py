"""Who leads: of several feeds, beats, or watchdogs, one holds the lease in Redis, the others stand by.

Two that lead at once do no harm: feeds write the same bars, the ledger opens each slot of beat once, and what two
watchdogs tell is told twice. The lease is there so that work is not done twice. Its fence counts the holders, so that
two records of who led when can be put in order.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass

import redis

from pipeline.domain.errors import StoreUnavailable

TOKEN = secrets.token_hex(3)
"""Of this start of the program: containers may have the same name on two hosts, and the same pid inside."""

# KEYS: lease, fence. ARGV: holder, ms. Answers [fence, previous holder or "", whether it was ours before].
_TAKE = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return {0, held, 0} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if held then return {tonumber(redis.call('HGET', KEYS[2], 'fence') or '0'), held, 1} end
local last = redis.call('HGET', KEYS[2], 'holder') or ''
redis.call('HSET', KEYS[2], 'holder', ARGV[1])
return {redis.call('HINCRBY', KEYS[2], 'fence', 1), last, 0}
"""

# KEYS: lease. ARGV: holder.
_DROP = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def holder(pid: int) -> str:
    """How this process is called where it has a lease: `host:token/pid`."""
    return f"{socket.gethostname()}:{TOKEN}/{pid}"


@dataclass(frozen=True, slots=True)
class Held:
    """`fence` 0: somebody else (`holder`) has it. `anew`: it was not ours a moment ago; `before` had it last."""

    fence: int
    holder: str
    before: str = ""
    anew: bool = False

    @property
    def ours(self) -> bool:
        return self.fence > 0


class Lease:
    """One process's claim. Every method raises StoreUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis, name: str, holder: str, *, lasts_s: float) -> None:
        self._client = client
        self._keys = (f"{name}:lease", f"{name}:leader")
        self._holder = holder
        self._lasts_ms = round(lasts_s * 1000)
        self._take = client.register_script(_TAKE)
        self._drop = client.register_script(_DROP)

    def hold(self) -> Held:
        """Take the lease, or renew it. It is gone when it is not renewed for `lasts_s`."""
        try:
            fence, named, ours = self._take(keys=self._keys, args=[self._holder, self._lasts_ms])
        except redis.RedisError as problem:
            raise StoreUnavailable(f"could not hold {self._keys[0]} in Redis: {problem}") from problem
        other = named.decode() if isinstance(named, bytes) else str(named)
        if not fence:
            return Held(0, other)
        return Held(int(fence), self._holder, other, anew=not ours)

    def drop(self) -> None:
        """Give it back, if it is ours: another takes over at once."""
        try:
            self._drop(keys=self._keys[:1], args=[self._holder])
        except redis.RedisError as problem:
            raise StoreUnavailable(f"could not give {self._keys[0]} back: {problem}") from problem
