"""A line to Redis for one short question before each request."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import redis
from hiredis import pack_command
from redis.exceptions import NoScriptError


@dataclass(frozen=True, slots=True)
class Script:
    """Lua, and the name by which Redis knows it once it has seen it."""

    text: str
    name: str

    @classmethod
    def of(cls, text: str) -> Script:
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class Line:
    """Runs scripts over connections that it keeps: one, and another for each question that is asked at the same time.

    A client would take one from its pool for each command, look whether it lives, and count and time what it does: half
    of what the question costs.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._idle: deque[Any] = deque()
        self._pid = os.getpid()
        weakref.finalize(self, _disconnect, self._idle)

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Raises: redis.RedisError. Asked again, once, when Redis has closed the connection since it was last used."""
        connection = self._taken()
        is_new = not connection.is_connected
        words = (len(keys), *keys, *arguments)
        try:
            return _asked(connection, script, words)
        except redis.ConnectionError:
            if is_new:
                raise
            return _asked(connection, script, words)
        finally:
            self._idle.append(connection)

    def _taken(self) -> Any:
        """One that nobody uses. A child's are not its parent's."""
        if self._pid != os.getpid():
            self._idle.clear()  # closed here, open there
            self._pid = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.connection_class(**self._pool.connection_kwargs)


def _disconnect(idle: deque[Any]) -> None:
    while idle:
        idle.pop().disconnect()


def _asked(connection: Any, script: Script, words: Sequence[str | int]) -> Any:
    try:
        return _answer(connection, "EVALSHA", script.name, *words)
    except NoScriptError:
        return _answer(connection, "EVAL", script.text, *words)


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
