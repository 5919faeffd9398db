"""The ledger's whole contract, on PostgreSQL: the tests of `tests/unit/ledger`, run again as they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine

from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.tables import metadata
from tests.support.servers import PostgresServer
from tests.unit.ledger import test_ledger_columns as columns
from tests.unit.ledger.test_ledger_decisions import *  # noqa: F403 - the point of this file
from tests.unit.ledger.test_ledger_fills_and_positions import *  # noqa: F403
from tests.unit.ledger.test_ledger_finding import *  # noqa: F403
from tests.unit.ledger.test_ledger_guards import *  # noqa: F403
from tests.unit.ledger.test_ledger_judgements import *  # noqa: F403
from tests.unit.ledger.test_ledger_orders import *  # noqa: F403
from tests.unit.ledger.test_ledger_permits import *  # noqa: F403
from tests.unit.ledger.test_ledger_rounds_and_levels import *  # noqa: F403
from tests.unit.ledger.test_ledger_stages import *  # noqa: F403
from tests.unit.ledger.test_ledger_switches_and_sessions import *  # noqa: F403
from tests.unit.ledger.test_ledger_units import (
    test_a_reading_unit_cannot_write,
    test_a_refused_record_undoes_what_went_before_it,
    test_a_unit_inside_a_unit_is_refused,
    test_an_error_inside_a_unit_undoes_all_of_it,
    test_the_ledger_goes_on_after_an_error,
    test_threads_take_turns,
)
from tests.unit.ledger.test_ledger_verdicts import *  # noqa: F403

__all__ = [
    "test_a_reading_unit_cannot_write",
    "test_a_refused_record_undoes_what_went_before_it",
    "test_a_unit_inside_a_unit_is_refused",
    "test_an_error_inside_a_unit_undoes_all_of_it",
    "test_the_ledger_goes_on_after_an_error",
    "test_threads_take_turns",
]


@pytest.fixture(scope="module")
def migrated(postgres_server: PostgresServer) -> Iterator[SqlLedger]:
    """One database for all tests of this file."""
    database = postgres_server.create_database()
    ledger = SqlLedger(postgres_server.url(database), busy_timeout_s=5.0)
    ledger.migrate()
    columns.values.metadata.create_all(ledger.engine)
    yield ledger
    ledger.close()
    postgres_server.drop_database(database)


@pytest.fixture
def ledger(migrated: SqlLedger) -> Iterator[SqlLedger]:
    """An empty ledger."""
    yield migrated
    with migrated.engine.connect() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture(scope="module")
def engine(migrated: SqlLedger) -> Engine:
    """Where the values of every kind are stored."""
    return migrated.engine


few = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


@few
@given(columns.decimals)
def test_every_decimal_comes_back_exactly(engine: Engine, value: Decimal) -> None:
    """A cent lost in storage is a cent that reconciliation finds."""
    columns.check_decimal(engine, value)


@few
@given(columns.times)
def test_every_time_comes_back_to_the_microsecond(engine: Engine, value: datetime) -> None:
    """And in UTC, wherever it was written."""
    columns.check_time(engine, value)
