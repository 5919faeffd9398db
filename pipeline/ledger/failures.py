"""What databases complain of, in our words."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sqlalchemy import URL, Connection, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIModule
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)

from pipeline.domain.errors import InvariantBroken, LedgerUnavailable
from pipeline.ledger.kinds import Kind


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the ledger as a whole, and what to do."""

    what: str
    remedy: str


LOCKED = Trouble("it stayed locked by another process", "Look for a program that holds it open.")
# By the beginning of SQLite's name for the error; the longer names come first.
SQLITE_TROUBLES = {
    "SQLITE_BUSY": LOCKED,
    "SQLITE_FULL": Trouble("the disk is full", "Make room and start again; nothing was half written."),
    "SQLITE_IOERR": Trouble("the disk cannot be read or written", "Check the disk."),
    "SQLITE_READONLY": Trouble("the file or its folder is read-only", "Make both writable for this user."),
    "SQLITE_CANTOPEN": Trouble(
        "the file cannot be opened or created", "Check that its folder exists and is writable for this user."
    ),
    "SQLITE_NOTADB": Trouble(
        "the file is not a SQLite database", "Name another file, or move this one away to start a new ledger."
    ),
    "SQLITE_CORRUPT": Trouble("the file is damaged", "Move it aside and restore it from a backup."),
}
# By PostgreSQL's five-character state; a class of states by its first two.
POSTGRES_TROUBLES = {
    "28": Trouble("the user or password was refused", "Check them in the ledger's URL."),
    "3D": Trouble("there is no such database", "Create it, or name another one in the ledger's URL."),
    "42501": Trouble("the user may not do that", "Grant the user its rights on the database and schema."),
    "42P01": Trouble("its tables are missing", "Create them with `throughline migrate`."),
    "40": Trouble("it was undone to let another process pass", "It is safe to try again."),
    "53100": Trouble("the server's disk is full", "Make room there; nothing was half written."),
    "53": Trouble("the server has no room for another connection", "Raise its limit of connections."),
    "55P03": LOCKED,
    "57": Trouble("the server is shutting down or starting", "Try again when it is up."),
}
UNKNOWN_REMEDY = "Check that it runs and that the ledger's URL names it."
READ_ONLY_UNIT = {"SQLITE_READONLY", "25006"}


class LedgerDown(LedgerUnavailable):
    """LedgerUnavailable, with what is known of the trouble."""

    def __init__(self, where: str, trouble: Trouble) -> None:
        self.where, self.trouble = where, trouble
        super().__init__(f"the ledger at {where} is unavailable: {trouble.what}. {trouble.remedy}")


def translate(context: ExceptionContext) -> BaseException | None:
    """SQLAlchemy asks this for every error of an engine: what it returns is raised in its place."""
    error = context.sqlalchemy_exception
    if error is None or context.engine is None:
        return None
    reading = context.connection is not None and context.connection.info.get("kind") is Kind.READ
    return _in_our_words(error, context.engine.url, reading=reading)


def told_by_driver(connection: Connection, error: DBAPIModule.Error) -> Exception:
    """The same for an error of the driver that was used past SQLAlchemy. A lost connection is given up, and
    with it all that lie in the pool.
    """
    dialect, reading = connection.dialect, connection.info.get("kind") is Kind.READ
    lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)
    if lost:
        connection.invalidate(error)
        connection.engine.dispose()
    base = dialect.loaded_dbapi.Error
    wrapped = DBAPIError.instance(None, None, error, base, connection_invalidated=lost, dialect=dialect)
    return _in_our_words(wrapped, connection.engine.url, reading=reading)


def _in_our_words(error: SQLAlchemyError, url: URL, *, reading: bool) -> Exception:
    if reading and error_code(error) in READ_ONLY_UNIT:
        return InvariantBroken("a reading unit of the ledger was asked to write; use begin() for that")
    trouble = trouble_of(error)
    if trouble is None and _is_our_fault(error):
        return InvariantBroken(f"the ledger refused a record: {_first_line(error)}")
    return LedgerDown(
        place(url), trouble or Trouble(_without_password(url, _first_line(error)), UNKNOWN_REMEDY)
    )


def _is_our_fault(error: SQLAlchemyError) -> bool:
    """Whether a value, a broken constraint or a wrong statement caused it, not the state of the database."""
    refused = isinstance(error, IntegrityError | DataError | ProgrammingError)
    return refused or not isinstance(error, DBAPIError)


def trouble_of(error: SQLAlchemyError) -> Trouble | None:
    """What the error's code says about the ledger as a whole, if it is known."""
    code = error_code(error)
    known = SQLITE_TROUBLES if code.startswith("SQLITE_") else POSTGRES_TROUBLES
    matching = (trouble for beginning, trouble in known.items() if code.startswith(beginning))
    return next(matching, None) if code else None


def trouble_of_sqlite(error: sqlite3.Error) -> Trouble:
    """The same for SQLite's own error, where it is used without SQLAlchemy."""
    code = getattr(error, "sqlite_errorname", "")
    matching = (trouble for beginning, trouble in SQLITE_TROUBLES.items() if code.startswith(beginning))
    return next(matching, Trouble(str(error), UNKNOWN_REMEDY))


def is_locked(error: DBAPIModule.Error) -> bool:
    """Whether somebody else has SQLite's lock: known before the error is put into words, which takes far longer."""
    return str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_BUSY")


def error_code(error: SQLAlchemyError) -> str:
    """SQLite's name for the error (`SQLITE_BUSY`) or PostgreSQL's state (`53100`); empty if there is none."""
    original = getattr(error, "orig", None)
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorname", "")
    return getattr(original, "sqlstate", None) or ""


def _first_line(error: SQLAlchemyError) -> str:
    """The driver's own words, without the statement."""
    original = getattr(error, "orig", None) or error
    return str(original).strip().partition("\n")[0]


def place(url: URL) -> str:
    """Where the ledger is: a file, or host, port and database. Never the password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "memory"
    host = url.host or url.query.get("host", "localhost")
    return f"PostgreSQL {host}:{url.port or 5432}/{url.database or ''}"


def _without_password(url: URL, text: str) -> str:
    return text.replace(str(url.password), "***") if url.password else text
