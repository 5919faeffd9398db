"""Statements in the driver's own words: compiled once, then run past SQLAlchemy, which would take several times as
long over each as the database does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import TypeEngine

from pipeline.ledger.columns import Converter
from pipeline.ledger.failures import told_by_driver

DOUBLE_PRECISION = 701
"""PostgreSQL's code of the type. Only a float asks for it, and learns that the driver gives floats already."""

Statement = SelectBase | UpdateBase
Row = dict[str, Any]
Values = Mapping[str, object]
_Named = tuple[str, Converter | None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement's text, the values that it takes in their order, and the columns that it gives.

    `fixed` are values that stand in the statement itself, as the driver takes them.
    """

    text: str
    takes: Sequence[_Named]
    fixed: Mapping[str, Any]
    gives: Sequence[_Named]
    positional: bool

    def bound(self, values: Values) -> Any:
        """The driver's parameters. Raises: NotStorable; KeyError when one is missing."""
        told = {**values, **self.fixed}
        if self.positional:
            return [told[name] if bind is None else bind(told[name]) for name, bind in self.takes]
        return {name: told[name] if bind is None else bind(told[name]) for name, bind in self.takes}

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Row]:
        return [
            {
                name: value if read is None else read(value)
                for (name, read), value in zip(self.gives, row, strict=True)
            }
            for row in found
        ]


def rows_of(connection: Connection, statement: Statement, values: Values) -> list[Row]:
    """Run it; every row that it gives."""
    prepared = prepare(statement, connection.dialect, tuple(values))
    return prepared.rows(execute(connection, prepared, values).fetchall())


def count_of(connection: Connection, statement: Statement, values: Values) -> int:
    """Run it; how many rows it wrote."""
    prepared = prepare(statement, connection.dialect, tuple(values))
    count: int = execute(connection, prepared, values).rowcount
    return count


def write_all(connection: Connection, statement: Statement, rows: Sequence[Values]) -> None:
    """Run it once for each row; all of them have the same names."""
    if not rows:
        return
    prepared = prepare(statement, connection.dialect, tuple(rows[0]))
    bound = [prepared.bound(row) for row in rows]
    try:
        if len(bound) == 1:
            driver_of(connection).execute(prepared.text, bound[0])
        else:
            driver_of(connection).cursor().executemany(prepared.text, bound)
    except connection.dialect.loaded_dbapi.Error as error:
        raise told_by_driver(connection, error) from error


def execute(connection: Connection, prepared: Prepared, values: Values) -> Any:
    """The driver's cursor."""
    bound = prepared.bound(values)
    try:
        return driver_of(connection).execute(prepared.text, bound)
    except connection.dialect.loaded_dbapi.Error as error:
        raise told_by_driver(connection, error) from error


def command(connection: Connection, text: str) -> None:
    """Run a text that takes no values."""
    try:
        driver_of(connection).execute(text)
    except connection.dialect.loaded_dbapi.Error as error:
        raise told_by_driver(connection, error) from error


def driver_of(connection: Connection) -> Any:
    return connection.connection.driver_connection


@lru_cache(maxsize=512)
def prepare(statement: Statement, dialect: Dialect, names: tuple[str, ...]) -> Prepared:
    """`names` are those of the values that will be given."""
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    expanded = compiled.construct_expanded_state(dict.fromkeys(names))
    order = (expanded.positiontup or ()) if compiled.positional else expanded.parameters
    binders = {name: _binder(bind.type, dialect) for name, bind in compiled.binds.items()}
    takes = [(name, binders.get(name) or expanded.processors.get(name)) for name in order]
    fixed = {name: value for name, value in expanded.parameters.items() if name not in names}
    gives = [(column.key or "", _reader(column.type, dialect)) for column in statement.exported_columns]
    return Prepared(expanded.statement, takes, fixed, gives, compiled.positional)


def _binder(type_: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    return type_.dialect_impl(dialect).bind_processor(dialect)


def _reader(type_: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    return type_.dialect_impl(dialect).result_processor(dialect, DOUBLE_PRECISION)
