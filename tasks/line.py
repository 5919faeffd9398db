"""A connection to Redis of one's own: for what is said so often that redis-py's client would cost more than Redis."""

from __future__ import annotations

from typing import Any

from redis import ConnectionPool
from redis.exceptions import ConnectionError  # noqa: A004 - as redis-py calls it

Command = tuple[Any, ...]


class Line:
    """Sends commands at once, several in one packet, and reads their answers before it sends the next.

    Not to be used by two threads at a time. Every method raises what redis-py raises when Redis is away, and Redis'
    own refusals; the connection is then begun anew, and what was not answered stays unknown.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool
        self._connection: Any = pool.get_connection()
        self._owed = 0

    def tell(self, *commands: Command) -> None:
        """Sent when this returns; whether Redis has obeyed, the next call tells."""
        self.settle()
        self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        self._owed = len(commands)

    def ask(self, *command: Any) -> Any:
        """Sent, and answered: what nobody has answered counts as not done."""
        self.tell(command)
        return self.settle()

    def settle(self) -> Any:
        """Read what is still to be answered; the last answer."""
        answer = None
        try:
            while self._owed:
                if self._connection._sock is None:  # noqa: SLF001 - its pool may have closed it
                    raise ConnectionError("the connection was closed before Redis answered")
                answer = self._connection.read_response()
                self._owed -= 1
        finally:
            if self._owed:
                self._owed = 0
                self._connection.disconnect()
        return answer
