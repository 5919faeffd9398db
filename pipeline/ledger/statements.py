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


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The columns that a statement gives: their names, and how those are read that are not as the driver gives them.
    Equal to itself alone.
    """

    names: Sequence[str]
    readers: Sequence[tuple[str, Converter]]

    @classmethod
    def of(cls, columns: Iterable[_Named]) -> Given:
        columns = list(columns)
        readers = [(name, read) for name, read in columns if read is not None]
        return cls([name for name, _ in columns], readers)

    def row(self, found: Sequence[Any]) -> Row:
        """The values of one row as their readers take them, by the names of their columns."""
        row = dict(zip(self.names, found, strict=True))
        for name, read in self.readers:
            row[name] = read(row[name])
        return row

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Row]:
        return [self.row(each) for each in found]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement's text, the names of the values that it takes, in their order, and the columns that it gives.

    `binders` make, by their places, those values into the driver's that are not taken as they are; `fixed` are values
    that stand in the statement itself, as the driver takes them.
    """

    text: str | bytes
    takes: Sequence[str]
    binders: Sequence[tuple[int, Converter]]
    fixed: Mapping[str, Any]
    gives: Given

    def bound(self, values: Values) -> list[Any]:
        """The driver's parameters. Raises: NotStorable; KeyError when one is missing."""
        told = {**values, **self.fixed} if self.fixed else values
        bound = list(map(told.__getitem__, self.takes))
        for place, bind in self.binders:
            bound[place] = bind(bound[place])
        return bound


def rows_of(connection: Connection, statement: Statement, values: Values) -> list[Row]:
    """Run it; every row that it gives."""
    given, found = found_by(connection, statement, values)
    return given.rows(found)


def found_by(
    connection: Connection, statement: Statement, values: Values
) -> tuple[Given, list[Sequence[Any]]]:
    """Run it; every row as the driver gives it, and how they are read."""
    prepared = prepare(statement, connection.dialect, tuple(values))
    return prepared.gives, execute(connection, prepared, values).fetchall()


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
    if len(rows) == 1:
        execute(connection, prepared, rows[0])
        return
    bound = [prepared.bound(row) for row in rows]
    try:
        _runner(connection).executemany(prepared.text, bound)
    except connection.dialect.loaded_dbapi.Error as error:
        raise told_by_driver(connection, error) from error


def execute(connection: Connection, prepared: Prepared, values: Values) -> Any:
    """The driver's cursor."""
    bound = prepared.bound(values)
    try:
        return _runner(connection).execute(prepared.text, bound)
    except connection.dialect.loaded_dbapi.Error as error:
        raise told_by_driver(connection, error) from error


def command(connection: Connection, text: str) -> None:
    """Run a text that takes no values."""
    try:
        driver_of(connection).execute(text)
    except connection.dialect.loaded_dbapi.Error as error:
        raise told_by_driver(connection, error) from error


def driver_of(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.dbapi_connection


def _runner(connection: Connection) -> Any:
    """What runs a statement: SQLite's connection, which makes the cursor itself; psycopg's raw cursor, which takes the
    parameters as the server does and has no need to look for them in the text.
    """
    driver = driver_of(connection)
    return connection.dialect.loaded_dbapi.RawCursor(driver) if _is_psycopg(connection.dialect) else driver


def _is_psycopg(dialect: Dialect) -> bool:
    return dialect.driver == "psycopg"


@lru_cache(maxsize=512)
def prepare(statement: Statement, dialect: Dialect, names: tuple[str, ...]) -> Prepared:
    """`names` are those of the values that will be given."""
    compiled = statement.compile(dialect=_compiling(dialect), column_keys=list(names))
    expanded = compiled.construct_expanded_state(dict.fromkeys(names))
    takes = expanded.positiontup or ()
    known = {name: _binder(bind.type, dialect) for name, bind in compiled.binds.items()}
    found = enumerate(known.get(name) or expanded.processors.get(name) for name in takes)
    binders = [(place, bind) for place, bind in found if bind is not None]
    fixed = {name: value for name, value in expanded.parameters.items() if name not in names}
    gives = Given.of(
        (column.key or "", reader_of(column.type, dialect)) for column in statement.exported_columns
    )
    text = expanded.statement
    return Prepared(text.encode() if _is_psycopg(dialect) else text, takes, binders, fixed, gives)


@lru_cache(maxsize=64)
def _compiling(dialect: Dialect) -> Dialect:
    """The dialect whose words have their parameters in order, as the drivers' cursors take them here."""
    same: Any = type(dialect)
    return same(paramstyle="numeric_dollar") if _is_psycopg(dialect) else dialect


def _binder(type_: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    return type_.dialect_impl(dialect).bind_processor(dialect)


def reader_of(type_: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    return type_.dialect_impl(dialect).result_processor(dialect, DOUBLE_PRECISION)
