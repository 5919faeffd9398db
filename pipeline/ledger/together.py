"""Questions asked together: on PostgreSQL they are one statement, which costs little more than each of them alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Select, Text, cast, func, literal_column, select
from sqlalchemy.types import TypeEngine

from pipeline.ledger.columns import Converter, Exact, UtcDateTime
from pipeline.ledger.repository import Query
from pipeline.ledger.statements import Given, Values, found_by, reader_of, rows_of

_Answer = tuple[Given, Sequence[Sequence[Any]]]


def ask_together(connection: Connection, queries: Mapping[str, Query[Any]], values: Values) -> dict[str, Any]:
    """The answer to each query under its name. All of them take their parameters from the same values."""
    ask = _in_turn if connection.dialect.name == "sqlite" else _at_once
    answers = ask(connection, tuple(query.statement for query in queries.values()), values)
    return {
        name: query.read(query.decode(given, found))
        for (name, query), (given, found) in zip(queries.items(), answers, strict=True)
    }


def _in_turn(connection: Connection, statements: Sequence[Select[Any]], values: Values) -> Iterable[_Answer]:
    return [found_by(connection, statement, values) for statement in statements]


def _at_once(
    connection: Connection, statements: tuple[Select[Any], ...], values: Values
) -> Iterable[_Answer]:
    [packed] = rows_of(connection, _packed(statements), values)
    return zip(_given(statements, connection.dialect), packed["answers"], strict=True)


@lru_cache(maxsize=64)
def _packed(statements: tuple[Select[Any], ...]) -> Select[Any]:
    """One value: for each statement its rows, and each of them an array."""
    return select(func.json_build_array(*map(_rows, statements)).label("answers"))


def _rows(statement: Select[Any]) -> ColumnElement[Any]:
    found = statement.subquery()
    row = func.json_build_array(*(_in_json(column) for column in found.c))
    return select(func.coalesce(func.json_agg(row), literal_column("'[]'::json"))).scalar_subquery()


def _in_json(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A number of JSON would be read as a float."""
    return cast(column, Text) if isinstance(column.type, Exact) else column


@lru_cache(maxsize=64)
def _given(statements: tuple[Select[Any], ...], dialect: Dialect) -> list[Given]:
    return [
        Given.of((column.key or "", _unpacker(column.type, dialect)) for column in statement.exported_columns)
        for statement in statements
    ]


def _unpacker(type_: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    """JSON has no times; everything else is in it as the driver would give it."""
    return _time if isinstance(type_, UtcDateTime) else reader_of(type_, dialect)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
