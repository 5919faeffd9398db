"""The ledger's whole contract, on PostgreSQL: the tests of `tests/unit/ledger`, run again as they are, by a role
that has no more rights than it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select, text

from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.signals import Side
from pipeline.ledger.repository import Query, every
from pipeline.ledger.rights import TAKEN_AWAY, grant
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.statements import rows_of
from pipeline.ledger.tables import metadata
from pipeline.ledger.together import ask_together
from tests.support.servers import PostgresServer
from tests.unit.ledger import test_ledger_columns as columns
from tests.unit.ledger.test_ledger_decisions import *  # noqa: F403 - the point of this file
from tests.unit.ledger.test_ledger_fills_and_positions import *  # noqa: F403
from tests.unit.ledger.test_ledger_finding import *  # noqa: F403
from tests.unit.ledger.test_ledger_guards import *  # noqa: F403
from tests.unit.ledger.test_ledger_journal import (
    test_a_position_from_before_the_books_is_unbooked,
    test_a_transaction_is_booked_once_and_read_back_as_it_was,
    test_assets_and_accounts_have_balances_of_their_own,
    test_the_latest_transactions_come_whole,
)
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
    "test_a_position_from_before_the_books_is_unbooked",
    "test_a_reading_unit_cannot_write",
    "test_a_refused_record_undoes_what_went_before_it",
    "test_a_transaction_is_booked_once_and_read_back_as_it_was",
    "test_a_unit_inside_a_unit_is_refused",
    "test_an_error_inside_a_unit_undoes_all_of_it",
    "test_assets_and_accounts_have_balances_of_their_own",
    "test_the_latest_transactions_come_whole",
    "test_the_ledger_goes_on_after_an_error",
    "test_threads_take_turns",
]


APPLICATION, READER = "application", "reader"


@pytest.fixture(scope="module")
def migrated(postgres_server: PostgresServer) -> Iterator[SqlLedger]:
    """One database for all tests of this file, as its owner sees it."""
    for role in (APPLICATION, READER):
        postgres_server.create_role(role)
    database = postgres_server.create_database()
    owner = SqlLedger(postgres_server.url(database), busy_timeout_s=5.0)
    owner.migrate()
    grant(owner.engine, APPLICATION, READER)
    columns.values.metadata.create_all(owner.engine)
    yield owner
    owner.close()
    postgres_server.drop_database(database)


def seen_by(role: str, migrated: SqlLedger) -> SqlLedger:
    url = migrated.engine.url.set(username=role)
    return SqlLedger(url.render_as_string(), busy_timeout_s=5.0)


@pytest.fixture(scope="module")
def application(migrated: SqlLedger) -> Iterator[SqlLedger]:
    ledger = seen_by(APPLICATION, migrated)
    yield ledger
    ledger.close()


@pytest.fixture
def ledger(application: SqlLedger, migrated: SqlLedger) -> Iterator[SqlLedger]:
    """An empty ledger, as workers connect to it."""
    yield application
    with migrated.engine.connect() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture(scope="module")
def engine(migrated: SqlLedger) -> Engine:
    """Where the values of every kind are stored."""
    return migrated.engine


FORBIDDEN = [
    *(f"DELETE FROM {name}" for name in sorted(set(metadata.tables) - TAKEN_AWAY)),  # noqa: S608 - our own tables' names
    *(f"TRUNCATE {name}" for name in sorted(metadata.tables)),
    "UPDATE fills SET qty = '9'",
    "UPDATE order_steps SET detail = ''",
    "UPDATE switch_events SET reason = ''",
    "UPDATE equity SET equity = '1'",
    "UPDATE alembic_version SET version_num = '0'",
    "DROP TABLE orders",
    "CREATE TABLE mine (x int)",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_application_cannot_rewrite_what_happened(application: SqlLedger, statement: str) -> None:
    """A stolen worker's password must not be enough to hide a trade."""
    with (
        application.engine.connect() as connection,
        pytest.raises(LedgerUnavailable, match="may not"),
    ):
        connection.execute(text(statement))


def test_the_reader_reads_and_writes_nothing(migrated: SqlLedger) -> None:
    """For dashboards and people who only look."""
    ledger = seen_by(READER, migrated)
    ledger.check_version()
    with ledger.engine.connect() as connection:
        for name in metadata.tables:
            connection.execute(text(f"SELECT count(*) FROM {name}"))  # noqa: S608 - our own table's name
        with pytest.raises(LedgerUnavailable, match="may not"):
            connection.execute(text("INSERT INTO budgets (account) VALUES ('x')"))
    ledger.close()


KINDS = ("amount", "at", "word", "record")
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


amounts = st.decimals(-(10**20), 10**20, places=30)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
records = st.dictionaries(
    texts, texts | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
)


@few
@given(amounts, columns.times, st.sampled_from(Side), records)
def test_what_is_asked_together_is_what_each_question_alone_says(
    engine: Engine, amount: Decimal, at: datetime, word: Side, record: dict[str, object]
) -> None:
    """Together the answers come as JSON, in which money must not become a float nor a time another one."""
    rows = [{"amount": amount, "at": at, "word": word, "record": record}, dict.fromkeys(KINDS)]
    kept = columns.values.c
    question: Query[list[dict[str, object]]] = every(
        select(*(kept[name] for name in KINDS)).order_by(kept.id), dict
    )
    with engine.connect() as connection:
        connection.execute(columns.values.delete())
        connection.execute(insert(columns.values), rows)
        alone = question.read(rows_of(connection, question.statement, {}))
        together = ask_together(connection, {"one": question, "other": question}, {})
    assert together == {"one": alone, "other": alone}
    assert alone == [rows[0] | {"at": at.astimezone(UTC)}, rows[1]]
