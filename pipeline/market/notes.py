"""Who is asking the exchange for which candles right now, and what failed a moment ago: notes in Redis, for everybody.

One symbol that never answers must not be asked by one worker after the other, each waiting for nothing.
"""

from __future__ import annotations

import uuid

import redis

ASKING = "asking"
FAILED = "failed"
_SEPARATOR = "|"

GIVE_BACK = """
-- KEYS note. ARGV our note, what to leave instead ('' for nothing), for how many ms. Only our own note is given back.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""


class Notes:
    """`lasts_s`: longer than a request may take; a note whose writer died is void after it. `rest_s`: for how long a
    failure that nobody waited for is remembered.

    Where Redis is away every note is granted: the rate budget lets nothing leave then.
    """

    def __init__(self, client: redis.Redis, prefix: str, *, lasts_s: float, rest_s: float = 5.0) -> None:
        self._client = client
        self._prefix = prefix
        self._lasts_ms = round(lasts_s * 1000)
        self._rest_ms = round(rest_s * 1000)

    def take(self, key: str) -> tuple[str, str]:
        """Our note when it was free, else an empty one; and what another's note says: asking, or failed and why."""
        mine = f"{ASKING}{_SEPARATOR}{uuid.uuid4().hex}"
        try:
            if self._client.set(self._key(key), mine, nx=True, px=self._lasts_ms):
                return mine, ""
            theirs = self._client.get(self._key(key))
        except redis.RedisError:
            return mine, ""
        return "", theirs.decode() if isinstance(theirs, bytes) else ""

    def give_back(self, key: str, mine: str, failure: str = "") -> None:
        """The answer is there; `failure` is left for those who come back for it."""
        left = f"{FAILED}{_SEPARATOR}{failure}" if failure else ""
        try:
            self._client.eval(GIVE_BACK, 1, self._key(key), mine, left, self._rest_ms)
        except redis.RedisError:
            return  # it is void after a while

    def _key(self, key: str) -> str:
        return f"{self._prefix}:{key}"


def failure_in(note: str) -> str:
    """What failed a moment ago; empty when the note says something else."""
    kind, _, text = note.partition(_SEPARATOR)
    return text if kind == FAILED else ""
