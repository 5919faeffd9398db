"""The ledger on a SQL database."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine

from pipeline.domain.errors import InvariantBroken, LedgerUnavailable
from pipeline.domain.events import Area, EventName
from pipeline.domain.timing import timed
from pipeline.ledger import schema
from pipeline.ledger.engines import Engines, begin, commit, is_memory, make_engines, parse_url
from pipeline.ledger.holders import end_stopped_writer
from pipeline.ledger.kinds import Kind
from pipeline.ledger.unit import SqlUnit
from pipeline.trace.events import LoggedEvents

REVISION_LOOKED_AT_EVERY_S = 5.0


class SqlLedger:
    """Fulfils `ports.Ledger`. Connects when it is first used; may be made before a fork and used after it.

    `busy_timeout_s`: how long a unit waits for a lock or a connection before it raises LedgerUnavailable.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = 10.0) -> None:
        self.url = parse_url(url)
        self._busy_timeout_s = busy_timeout_s
        self._engines = make_engines(self.url, busy_timeout_s)
        self._pid = os.getpid()
        self._thread = threading.local()
        self._looked_at = float("-inf")
        # In memory there is one connection: units of several threads take turns.
        self._turn = threading.Lock() if is_memory(self.url) else None

    def begin(self, *, durable: bool = False) -> AbstractContextManager[SqlUnit]:
        return self._unit(Kind.DURABLE if durable else Kind.WRITE)

    def read(self) -> AbstractContextManager[SqlUnit]:
        return self._unit(Kind.READ)

    def close(self) -> None:
        """Close every connection. A later unit connects again."""
        self.engines.dispose()

    def migrate(self) -> None:
        """Create the tables, or bring them to this program's revision. Safe in several processes at once.

        Raises: ConfigError, as `check_version` does.
        """
        schema.migrate(self.engine)

    def check_version(self) -> None:
        """Touches nothing.

        Raises: ConfigError when the ledger cannot be opened, is missing, older or newer than this program.
        """
        schema.check_version(self.engine)

    @property
    def engine(self) -> Engine:
        """This process's engine, for whatever writes."""
        return self.engines.writing

    @property
    def engines(self) -> Engines:
        """This process's engines: connections are never shared over a fork."""
        if os.getpid() != self._pid:
            self._leave_parent()
        return self._engines

    def _leave_parent(self) -> None:
        if self._turn is not None:
            raise InvariantBroken("a ledger in memory was used in a process that did not make it")
        self._engines.leave_parent()
        self._thread = threading.local()
        self._pid = os.getpid()

    @contextmanager
    def _unit(self, kind: Kind) -> Iterator[SqlUnit]:
        engines = self.engines
        if getattr(self._thread, "busy", False):
            raise InvariantBroken("a unit of the ledger was begun inside another one: pass the first one on")
        self._thread.busy = True
        try:
            began = time.perf_counter()
            with timed("ledger"), self._my_turn():
                connection = self._begun(engines, kind)
                try:
                    self._look_at_revision(connection)
                    yield SqlUnit(connection)
                    commit(connection)
                except BaseException:
                    connection.close()
                    raise
                engines.keep(connection)
            _debug(kind, began)
        finally:
            self._thread.busy = False

    def _look_at_revision(self, connection: Connection) -> None:
        """Now and then: an upgrade of the ledger while this process runs must not find it writing."""
        now = time.monotonic()
        if now - self._looked_at >= REVISION_LOOKED_AT_EVERY_S:
            schema.refuse_another_revision(connection)
            self._looked_at = now

    def _end_stopped_writer(self) -> bool:
        """Whoever is stopped while holding the lock does not hold it for ever."""
        if self.url.get_backend_name() != "sqlite" or not self.url.database:
            return False
        pid = end_stopped_writer(Path(self.url.database))
        if pid is not None:
            problem = f"process {pid} was stopped while it held the ledger locked, and was ended"
            LoggedEvents().emit(EventName.UPKEEP_FAILED, what="the ledger", problem=problem)
        return pid is not None

    def _begun(self, engines: Engines, kind: Kind) -> Connection:
        """A connection inside a transaction; closing it undoes what was not committed."""
        connection = engines.take(kind)
        try:
            begin(connection, kind, self._end_stopped_writer)
        except LedgerUnavailable:
            went_away = connection.invalidated
            connection.close()
            if not went_away:
                raise
            # It was connected to a server that went away meanwhile; nothing was asked of it yet.
            connection = engines.take(kind)
            begin(connection, kind, self._end_stopped_writer)
        return connection

    def _my_turn(self) -> AbstractContextManager[object]:
        return nullcontext() if self._turn is None else self._taken_turn(self._turn)

    @contextmanager
    def _taken_turn(self, turn: threading.Lock) -> Iterator[None]:
        if not turn.acquire(timeout=self._busy_timeout_s):
            raise LedgerUnavailable("the ledger in memory stayed in use by another thread")
        try:
            yield
        finally:
            turn.release()


def _debug(kind: Kind, began: float) -> None:
    events = LoggedEvents()
    if events.wants(Area.LEDGER):
        data = {"ms": round((time.perf_counter() - began) * 1000, 3)}
        events.emit(EventName.DEBUG, area=Area.LEDGER.value, what=f"a unit to {kind.name.lower()}", data=data)
