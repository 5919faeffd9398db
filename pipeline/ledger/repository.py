"""What the repositories share. Each builds its statements once, at import; SQLAlchemy compiles each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Executable, Select, String, Table, select, type_coerce
from sqlalchemy.dialects import postgresql


class Repository:
    """One kind of record, seen from inside a transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _changed(self, statement: Executable, values: Mapping[str, object]) -> bool:
        """Whether the statement wrote a row."""
        return self._connection.execute(statement, values).rowcount > 0

    def _first(self, statement: Executable, values: Mapping[str, object]) -> dict[str, Any] | None:
        row = self._connection.execute(statement, values).first()
        return None if row is None else row._asdict()

    def _all(self, statement: Executable, values: Mapping[str, object]) -> list[dict[str, Any]]:
        return [row._asdict() for row in self._connection.execute(statement, values)]


def insert(table: Table) -> postgresql.Insert:
    """An INSERT that may carry ON CONFLICT. SQLite took that clause over from PostgreSQL, word for word."""
    return postgresql.insert(table)


def insert_once(table: Table) -> postgresql.Insert:
    """An INSERT that does nothing when a unique key is taken. Any other broken constraint still raises."""
    # SQLAlchemy forgets how many rows an INSERT wrote unless it is told not to.
    return insert(table).on_conflict_do_nothing().inline().execution_options(preserve_rowcount=True)


def reader(record: type) -> Callable[[object], dict[str, object]]:
    """A function from a record of this dataclass to its fields by name, nested ones as they are."""
    names = tuple(field.name for field in fields(record))
    return lambda of: {name: getattr(of, name) for name in names}


def matching(table: Table, **wanted: str | None) -> Select[Any]:
    """The rows whose columns have the values given; None asks for nothing, an unknown word finds nothing."""
    statement = select(table)
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(type_coerce(table.c[name], String) == value)
    return statement
