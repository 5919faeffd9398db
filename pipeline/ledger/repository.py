"""What the repositories share. Each builds its statements once, at import; each is compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, String, Table, select, type_coerce
from sqlalchemy.dialects import postgresql

from pipeline.ledger.statements import Given, Row, Statement, Values, count_of, found_by, rows_of, write_all

Found = TypeVar("Found")
THE_END = datetime(9999, 12, 31, tzinfo=UTC)
"""Later than anything that happens, by whosever clock."""
REMEMBERED = 1024
"""Rows of one kind whose records a process keeps: more than an exchange has symbols, and not more than 2 MB."""


@dataclass(frozen=True, slots=True)
class Query(Generic[Found]):
    """A SELECT, and how its rows are read. It takes its parameters by name, and leaves alone what it does
    not know.
    """

    statement: Select[Any]
    read: Callable[[Sequence[Any]], Found]
    decode: Callable[[Given, Iterable[Sequence[Any]]], Sequence[Any]] = Given.rows
    """From the driver's rows to what `read` takes."""


def one(statement: Select[Any], read: Callable[..., Found]) -> Query[Found | None]:
    """The first row as the arguments of `read`; None when there is none."""
    return Query(statement, lambda rows: read(**rows[0]) if rows else None)


def every(statement: Select[Any], read: Callable[..., Found]) -> Query[list[Found]]:
    """Each row as the arguments of `read`."""
    return Query(statement, lambda rows: [read(**row) for row in rows])


def every_often(statement: Select[Any], read: Callable[..., Found]) -> Query[list[Found]]:
    """As `every`, for what is asked for much more often than it changes."""
    return Query(statement, list, once(read))


def one_often(statement: Select[Any], read: Callable[..., Found]) -> Query[Found | None]:
    """As `one`, for what is asked for much more often than it changes."""
    return Query(statement, lambda found: found[0] if found else None, once(read))


def once(read: Callable[..., object]) -> Callable[[Given, Iterable[Sequence[Any]]], Sequence[Any]]:
    """Each row as the arguments of `read`, decoded once: a row that comes again as it was gives the record that it gave
    before, which nobody changes.
    """

    @lru_cache(maxsize=REMEMBERED)
    def record(given: Given, found: tuple[Any, ...]) -> object:
        return read(**given.row(found))

    return lambda given, found: [record(given, tuple(row)) for row in found]


class Repository:
    """One kind of record, seen from inside a transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _changed(self, statement: Statement, values: Values) -> bool:
        """Whether the statement wrote a row."""
        return count_of(self._connection, statement, values) > 0

    def _write(self, statement: Statement, *rows: Values) -> None:
        """Run the statement for each row."""
        write_all(self._connection, statement, rows)

    def _ask(self, query: Query[Found], values: Values) -> Found:
        return query.read(query.decode(*found_by(self._connection, query.statement, values)))

    def _first(self, statement: Statement, values: Values) -> Row | None:
        rows = rows_of(self._connection, statement, values)
        return rows[0] if rows else None

    def _all(self, statement: Statement, values: Values) -> list[Row]:
        return rows_of(self._connection, statement, values)

    def _latest(self, statement: Select[Any]) -> list[Row]:
        """The rows of a statement that was made for this call: it is not worth keeping in the driver's words."""
        return [row._asdict() for row in self._connection.execute(statement)]


def insert(table: Table) -> postgresql.Insert:
    """An INSERT that may carry ON CONFLICT. SQLite took that clause over from PostgreSQL, word for word."""
    return postgresql.insert(table)


def insert_once(table: Table) -> postgresql.Insert:
    """An INSERT that does nothing when a unique key is taken. Any other broken constraint still raises."""
    return insert(table).on_conflict_do_nothing().inline()


def reader(record: type) -> Callable[[object], dict[str, object]]:
    """A function from a record of this dataclass to its fields by name, nested ones as they are."""
    names = tuple(field.name for field in fields(record))
    values = attrgetter(*names)
    return lambda of: dict(zip(names, values(of), strict=True))


def bounded(column: Column[datetime]) -> ColumnElement[bool]:
    """True, and worth saying beside "since then": of a range with two ends PostgreSQL expects few rows without knowing
    them. So it keeps one plan, through the index, and does not plan anew for each call.
    """
    return column <= THE_END


def matching(table: Table, **wanted: str | None) -> Select[Any]:
    """The rows whose columns have the values given; None asks for nothing, an unknown word finds nothing."""
    statement = select(table)
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(type_coerce(table.c[name], String) == value)
    return statement
