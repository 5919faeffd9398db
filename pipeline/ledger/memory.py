"""A real ledger in memory, for tests and replay: made in a millisecond, gone with its process."""

from __future__ import annotations

from functools import cache

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from pipeline.ledger.schema import HEAD, VERSION_TABLE
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.tables import metadata


def memory_ledger() -> SqlLedger:
    """An empty ledger with all tables. Its threads take turns; a forked child must make its own."""
    ledger = SqlLedger("sqlite://")
    with ledger.engine.connect() as connection:
        driver = connection.connection.driver_connection
        if driver is not None:
            driver.executescript(_script())
    return ledger


@cache
def _script() -> str:
    """Everything in one text: creating the tables one statement at a time takes several times as long."""
    dialect = sqlite.dialect()
    statements = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    for table in metadata.sorted_tables:
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    statements.append(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)")
    statements.append(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')")  # noqa: S608 - both are ours
    return ";\n".join(statements)
