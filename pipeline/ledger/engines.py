"""Connections to the two databases. Neither driver begins a transaction by itself: the ledger says BEGIN."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import URL, Connection, Engine, Pool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from pipeline.domain.errors import ConfigError, LedgerUnavailable
from pipeline.keepalive import POSTGRES, POSTGRES_SERVER
from pipeline.ledger.columns import json_text, json_value
from pipeline.ledger.failures import is_locked, told_by_driver, translate
from pipeline.ledger.kinds import Kind
from pipeline.ledger.statements import command, driver_of
from pipeline.ledger.wal import log_of, reach_disk

# A unit takes milliseconds; one that hangs this long must not keep others from protecting a position.
ABANDONED_AFTER_MS = 10_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.0005, 0.005
"""Between two looks of a writer at SQLite's only write lock. SQLite itself waits longer each time, up to a tenth of a
second: of several writers some would wait for hundreds of transactions of the others."""


HOLDER_LOOKED_AT_EVERY_S = 0.5
"""How long a writer waits before it looks who has the lock, and again: a unit takes milliseconds."""


def parse_url(text: str) -> URL:
    """Raises: ConfigError when it is not the URL of a SQLite or PostgreSQL database."""
    try:
        url = make_url(text)
        if url.get_dialect().driver in {"pysqlite", "psycopg"}:
            return url
    except (ArgumentError, NoSuchModuleError, ImportError):
        pass
    raise ConfigError(
        "this is not the URL of a ledger.",
        where="ledger.url",
        remedy="Write sqlite:///path/to/ledger.sqlite3 or postgresql+psycopg://user:password@host:5432/database.",
    )


def is_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}


class Engines:
    """The connections to one ledger: for units that write, and for those that read.

    Of each kind one may stay out of SQLAlchemy's pool between two units: to take it from there and to bring it back
    costs more than what SQLite does in between.
    """

    def __init__(self, writing: Engine, reading: Engine) -> None:
        self.writing, self.reading = writing, reading
        self._kept: dict[Engine, list[Connection]] = {writing: [], reading: []}

    def of(self, kind: Kind) -> Engine:
        return self.reading if kind is Kind.READ else self.writing

    def take(self, kind: Kind) -> Connection:
        """One that nobody uses. Raises: LedgerUnavailable."""
        engine = self.of(kind)
        try:
            return self._kept[engine].pop()
        except IndexError:
            return _connected(engine)

    def keep(self, connection: Connection) -> None:
        """For the next unit of its kind. Only what nothing is left open of may be kept."""
        kept = self._kept[connection.engine]
        if kept or connection.in_transaction():
            connection.close()
        else:
            kept.append(connection)

    def dispose(self) -> None:
        for engine, kept in self._kept.items():
            while kept:
                kept.pop().close()
            engine.dispose()

    def leave_parent(self) -> None:
        """In a forked child. To close the parent's connections from here would harm the parent: nobody touches them."""
        for engine, kept in self._kept.items():
            _of_parents.append((engine.pool, [*kept]))
            kept.clear()
            engine.dispose(close=False)


_of_parents: list[tuple[Pool, list[Connection]]] = []


def _connected(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except PoolTimeout as error:
        raise LedgerUnavailable("every connection to the ledger is in use by another thread") from error


def make_engines(url: URL, busy_timeout_s: float) -> Engines:
    """Engines that have not connected yet.

    A connection to a SQLite file that changed between reading and writing would plan its statements anew after each
    change: `query_only` is one of the settings after which SQLite takes every plan for outdated.
    """
    writing = make_engine(url, busy_timeout_s)
    shared = url.get_backend_name() != "sqlite" or is_memory(url)
    return Engines(writing, writing if shared else make_engine(url, busy_timeout_s))


def make_engine(url: URL, busy_timeout_s: float) -> Engine:
    """An engine that has not connected yet."""
    options: dict[str, Any] = {
        "json_serializer": json_text,
        "json_deserializer": json_value,
        "hide_parameters": True,
    }
    make = _sqlite if url.get_backend_name() == "sqlite" else _postgres
    engine = make(url, busy_timeout_s, options)
    event.listen(engine, "handle_error", translate)
    return engine


def _sqlite(url: URL, busy_timeout_s: float, options: dict[str, Any]) -> Engine:
    connect = {"isolation_level": None, "timeout": busy_timeout_s, "check_same_thread": False}
    pool: dict[str, Any] = {"poolclass": StaticPool} if is_memory(url) else {"pool_timeout": busy_timeout_s}
    engine = create_engine(url, connect_args=connect, **pool, **options)

    def on_connect(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        record.info["busy_timeout_s"] = busy_timeout_s
        record.info["log"] = log_of(connection)

    event.listen(engine, "connect", on_connect)
    return engine


def _postgres(url: URL, busy_timeout_s: float, options: dict[str, Any]) -> Engine:
    settings = {
        "timezone": "UTC",
        "lock_timeout": math.ceil(busy_timeout_s * 1000),
        "idle_in_transaction_session_timeout": ABANDONED_AFTER_MS,
        **POSTGRES_SERVER,
    }
    connect = {
        "autocommit": True,
        "connect_timeout": max(2, math.ceil(busy_timeout_s)),
        "application_name": "throughline",
        **POSTGRES,
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }
    return create_engine(url, connect_args=connect, pool_timeout=busy_timeout_s, **options)


def nobody_to_end() -> bool:
    """Where no process is ended for keeping the ledger locked."""
    return False


def begin(connection: Connection, kind: Kind, end_holder: Callable[[], bool] = nobody_to_end) -> None:
    """Start the transaction. On SQLite a writing one takes its lock at once: no write fails halfway. `end_holder` is
    called now and then while it waits for that; it says whether it has ended whoever held the lock.
    """
    if connection.dialect.name == "sqlite":
        _set_pragmas(connection, kind)
        if kind is Kind.READ:
            command(connection, "BEGIN")
        else:
            _begin_writing(connection, end_holder)
    else:
        command(connection, _POSTGRES_BEGIN[kind])
    connection.info["kind"] = kind


def _begin_writing(connection: Connection, end_holder: Callable[[], bool]) -> None:
    """Wait for the lock as long as a unit may. Raises: LedgerUnavailable."""
    driver, pause_s, began = driver_of(connection), FIRST_PAUSE_S, time.monotonic()
    until = began + connection.info["busy_timeout_s"]
    look_at = min(until, began + HOLDER_LOOKED_AT_EVERY_S)
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return
        except connection.dialect.loaded_dbapi.Error as error:
            now = time.monotonic()
            if not is_locked(error) or (now >= look_at and not end_holder() and now >= until):
                raise told_by_driver(connection, error) from error
            if now >= look_at:
                look_at = min(until, now + HOLDER_LOOKED_AT_EVERY_S)
        time.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 1.2)


def commit(connection: Connection) -> None:
    """What was done since `begin` stays; what was durable waits for the disk. Raises: LedgerUnavailable.

    SQLite would wait for it while it holds the lock. Its log is written in order: when it reaches the disk, so does
    all that was committed before, by whomever.
    """
    command(connection, "COMMIT")
    if connection.dialect.name == "sqlite" and connection.info["kind"] is Kind.DURABLE:
        reach_disk(connection.info["log"], connection.engine.url)


_POSTGRES_BEGIN = {
    Kind.READ: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    Kind.WRITE: "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL plan_cache_mode = force_generic_plan",
    Kind.DURABLE: "BEGIN",
}
_TO_WRITE = ("PRAGMA query_only = OFF", "PRAGMA synchronous = NORMAL", "PRAGMA busy_timeout = 0")


def _set_pragmas(connection: Connection, kind: Kind) -> None:
    """They last as long as the connection and cannot change inside a transaction."""
    before = connection.info.get("kind")
    if before is not None and (before is Kind.READ) == (kind is Kind.READ):
        return
    busy_ms = round(connection.info["busy_timeout_s"] * 1000)
    to_read = ("PRAGMA query_only = ON", f"PRAGMA busy_timeout = {busy_ms}")
    for pragma in to_read if kind is Kind.READ else _TO_WRITE:  # they touch no file, so no lock can stop them
        driver_of(connection).execute(pragma)
