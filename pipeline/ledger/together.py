"""Questions asked together: on PostgreSQL they share a round trip, which is most of what each of them costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from pipeline.ledger.failures import told_by_driver
from pipeline.ledger.repository import Query
from pipeline.ledger.statements import Row, Values, driver_of, prepare, rows_of

Question = tuple[Query[Any], Values]
"""A query, and the values of its parameters."""


def ask_together(connection: Connection, questions: Mapping[str, Question]) -> dict[str, Any]:
    """The answer to each question under its name."""
    ask = _pipelined if connection.dialect.driver == "psycopg" else _in_turn
    rows = ask(connection, questions.values())
    return {
        name: query.read(found) for (name, (query, _)), found in zip(questions.items(), rows, strict=True)
    }


def _in_turn(connection: Connection, questions: Iterable[Question]) -> list[list[Row]]:
    return [rows_of(connection, query.statement, values) for query, values in questions]


def _pipelined(connection: Connection, questions: Iterable[Question]) -> list[list[Row]]:
    """Every question is sent before the first answer is awaited."""
    driver, dialect = driver_of(connection), connection.dialect
    prepared = [(prepare(query.statement, dialect, tuple(values)), values) for query, values in questions]
    try:
        with driver.pipeline():
            cursors = [driver.execute(each.text, each.bound(values)) for each, values in prepared]
            return [each.rows(cursor) for (each, _), cursor in zip(prepared, cursors, strict=True)]
    except driver.Error as error:
        raise told_by_driver(connection, error) from error
