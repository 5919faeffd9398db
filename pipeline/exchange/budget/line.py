"""A line to Redis for one short question before each request."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import redis
from hiredis import pack_command
from redis.exceptions import NoScriptError


class _Kept(threading.local):
    """The connection of this thread, and the process that opened it."""

    connection: Any = None
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """Lua, and the name by which Redis knows it once it has seen it."""

    text: str
    name: str

    @classmethod
    def of(cls, text: str) -> Script:
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class Line:
    """Runs scripts over one connection for each thread of each process, which nobody else uses.

    A client would take one from its pool for each command, look whether it lives, and count and time what it does: half
    of what the question costs.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._kept = _Kept()

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Raises: redis.RedisError. Asked again, once, when Redis has closed the connection since it was last used."""
        connection, is_new = self._connection()
        words = (len(keys), *keys, *arguments)
        try:
            return _answer(connection, "EVALSHA", script.name, *words)
        except NoScriptError:
            return _answer(connection, "EVAL", script.text, *words)
        except redis.ConnectionError:
            if is_new:
                raise
            return self.run(script, keys, arguments)

    def _connection(self) -> tuple[Any, bool]:
        """The thread's own, and whether it has still to be opened. A child's are not its parent's."""
        kept = self._kept
        if kept.connection is None or kept.pid != os.getpid():
            kept.connection, kept.pid = self._pool.make_connection(), os.getpid()
        return kept.connection, not kept.connection.is_connected


def _answer(connection: Any, *words: Any) -> Any:
    """An answer that nobody took must not be there when the next question is asked."""
    try:
        connection.send_packed_command([pack_command(words)])
        return connection.read_response()
    except redis.ResponseError:
        raise
    except BaseException:
        connection.disconnect()
        raise
