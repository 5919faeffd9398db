"""Questions asked together: on PostgreSQL they share a round trip, which is most of what each of them costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Dialect, Select

from pipeline.ledger.columns import Converter
from pipeline.ledger.failures import told_by_driver
from pipeline.ledger.repository import Query, Row

Question = tuple[Query[Any], Mapping[str, object]]
"""A query, and the values of its parameters."""


def ask_together(connection: Connection, questions: Mapping[str, Question]) -> dict[str, Any]:
    """The answer to each question under its name."""
    rows_of = _pipelined if connection.dialect.driver == "psycopg" else _in_turn
    rows = rows_of(connection, questions.values())
    return {
        name: query.read(found) for (name, (query, _)), found in zip(questions.items(), rows, strict=True)
    }


def _in_turn(connection: Connection, questions: Iterable[Question]) -> list[list[Row]]:
    return [
        [row._asdict() for row in connection.execute(query.statement, values)] for query, values in questions
    ]


def _pipelined(connection: Connection, questions: Iterable[Question]) -> list[list[Row]]:
    """Past SQLAlchemy, which waits for an answer before it sends the next question."""
    driver: Any = connection.connection.driver_connection
    prepared = [(_prepare(query.statement, connection.dialect), values) for query, values in questions]
    try:
        with driver.pipeline():
            cursors = [driver.execute(each.text, each.bound(values)) for each, values in prepared]
            return [each.rows(cursor) for (each, _), cursor in zip(prepared, cursors, strict=True)]
    except driver.Error as error:
        raise told_by_driver(connection, error) from error


@dataclass(frozen=True, slots=True)
class Prepared:
    """A SELECT in the driver's words, and what its values and columns become."""

    text: str
    fixed: Mapping[str, Any]
    binders: Mapping[str, Converter]
    readers: Sequence[tuple[str, Converter]]

    def bound(self, values: Mapping[str, object]) -> dict[str, Any]:
        return {**self.fixed, **{name: bind(values[name]) for name, bind in self.binders.items()}}

    def rows(self, cursor: Iterable[Sequence[Any]]) -> list[Row]:
        return [
            {name: read(value) for (name, read), value in zip(self.readers, row, strict=True)}
            for row in cursor
        ]


@lru_cache(maxsize=128)
def _prepare(statement: Select[Any], dialect: Dialect) -> Prepared:
    compiled = statement.compile(dialect=dialect)
    named = {name: bind for bind, name in compiled.bind_names.items()}
    binders = {name: _binder(bind, dialect) for name, bind in named.items()}
    fixed = {name: binders.pop(name)(bind.value) for name, bind in named.items() if not bind.required}
    readers = [(column.key or "", _reader(column, dialect)) for column in statement.selected_columns]
    return Prepared(str(compiled), fixed, binders, readers)


def _binder(bind: BindParameter[Any], dialect: Dialect) -> Converter:
    return bind.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is


def _reader(column: ColumnElement[Any], dialect: Dialect) -> Converter:
    return column.type.dialect_impl(dialect).result_processor(dialect, None) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
