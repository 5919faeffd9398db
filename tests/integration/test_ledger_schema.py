"""The migrated tables are the ones that the code speaks of, and a ledger that cannot be used says why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.errors import ConfigError, InvariantBroken, LedgerUnavailable
from pipeline.domain.standing import Horizon, Standing
from pipeline.ledger import sql
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.tables import metadata
from pipeline.ledger.unit import SqlUnit
from tests.support.processes import free_port
from tests.support.servers import PostgresServer
from tests.unit.ledger.ledger_worlds import ACCOUNT, BTC, ETH, NOW, a_decision, a_position, closed, open_one

Shape = dict[str, set[str]]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlLedger]:
    """A migrated ledger."""
    place = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    ledger = SqlLedger(place if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    ledger.migrate()
    yield ledger
    ledger.close()


def test_the_migrations_make_the_tables_of_the_code(ledger: SqlLedger) -> None:
    """Whoever changes a table without a migration is stopped here."""
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_make_the_constraints_of_the_code(ledger: SqlLedger) -> None:
    """Alembic's comparison is blind to checks and to the conditions of indexes: they carry the guarantees."""
    with ledger.engine.connect() as connection:
        migrated = _shape(connection)
        for table in reversed(metadata.sorted_tables):
            table.drop(connection)
        metadata.create_all(connection)
        assert _shape(connection) == migrated
    assert len(migrated) == len(metadata.tables)


def _shape(connection: Connection) -> Shape:
    """Every table with its checks, keys and indexes as the database tells them."""
    inspector = inspect(connection)
    return {name: _parts(connection, name) for name in inspector.get_table_names() if name in metadata.tables}


def _parts(connection: Connection, table: str) -> set[str]:
    inspector = inspect(connection)
    found: list[object] = [
        *inspector.get_columns(table),
        *inspector.get_check_constraints(table),
        *inspector.get_foreign_keys(table),
        *inspector.get_unique_constraints(table),
        *inspector.get_indexes(table),
        inspector.get_pk_constraint(table),
    ]
    return {re.sub(r"0x\w+", "", _words(part)) for part in found}


def _words(part: object) -> str:
    """Types and conditions compare by what they say."""
    if isinstance(part, dict):
        return str(sorted((key, _words(value)) for key, value in part.items()))
    return str(part)


def test_a_migration_leaves_no_logging_or_output_behind(
    ledger: SqlLedger, capfd: pytest.CaptureFixture[str]
) -> None:
    """Alembic likes to talk; a command that prints JSON must print nothing else."""
    ledger.migrate()
    assert capfd.readouterr() == ("", "")


def test_an_empty_database_is_a_missing_ledger(postgres_url: str) -> None:
    """Found at the start; nothing is created by looking."""
    ledger = SqlLedger(postgres_url)
    with pytest.raises(ConfigError, match="throughline up"):
        ledger.check_version()
    with ledger.engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    ledger.close()


def test_a_ledger_of_a_newer_program_is_left_alone(ledger: SqlLedger) -> None:
    """Both ways in refuse it, and name its revision."""
    decision = open_one(ledger)
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for use in (ledger.check_version, ledger.migrate):
        with pytest.raises(ConfigError, match="9999"):
            use()
    with ledger.read() as unit:
        assert unit.decisions.get(decision.decision_id) == decision


def test_a_ledger_that_is_upgraded_under_a_running_program_is_left_alone_from_then_on(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of the old release that somebody forgot to stop writes nothing into tables that it does not know."""
    monkeypatch.setattr(sql, "REVISION_LOOKED_AT_EVERY_S", 0.0)
    open_one(ledger)
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    for begun in (ledger.begin, ledger.read):
        with (
            pytest.raises(LedgerUnavailable, match="it has revision 9999 now, and this program works with"),
            begun(),
        ):
            pytest.fail("nothing may be asked of it")


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    """Host, port and database help; the password would end up in a log."""
    port = free_port()
    ledger = SqlLedger(f"postgresql+psycopg://trader:s3cret@127.0.0.1:{port}/book", busy_timeout_s=1.0)
    for use, error in (
        (ledger.check_version, ConfigError),
        (ledger.migrate, ConfigError),
        (ledger.begin().__enter__, LedgerUnavailable),
        (ledger.read().__enter__, LedgerUnavailable),
    ):
        with pytest.raises(error) as caught:
            use()
        assert f"127.0.0.1:{port}/book" in str(caught.value)
        assert "s3cret" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(postgres_server: PostgresServer) -> None:
    """A misspelt name is the commonest mistake."""
    ledger = SqlLedger(postgres_server.url("misspelt"))
    with pytest.raises(ConfigError, match="misspelt"):
        ledger.check_version()


def test_a_row_that_another_unit_holds_is_unavailable(postgres_url: str) -> None:
    """Waiting ends after the busy timeout, and nothing was changed."""
    holder, waiter = SqlLedger(postgres_url), SqlLedger(postgres_url, busy_timeout_s=0.05)
    holder.migrate()
    decision = open_one(holder)
    with holder.begin() as unit:
        unit.decisions.lock(decision.decision_id)
        with pytest.raises(LedgerUnavailable, match="locked"), waiter.begin() as other:
            other.decisions.lock(decision.decision_id)
    with waiter.begin() as unit:
        assert unit.decisions.lock(decision.decision_id) == decision
    holder.close()
    waiter.close()


def test_a_server_that_cut_our_connections_is_used_again_at_once(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """A restart between two units costs nothing: the next one connects anew."""
    ledger = SqlLedger(postgres_url)
    ledger.migrate()
    decision = open_one(ledger)
    _cut_all(postgres_server)
    with ledger.read() as unit:
        assert unit.decisions.get(decision.decision_id) == decision
    ledger.close()


def test_a_connection_cut_inside_a_unit_is_unavailable_and_undone(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """The unit fails as a whole; the next one works."""
    ledger = SqlLedger(postgres_url)
    ledger.migrate()

    def open_two(unit: SqlUnit) -> None:
        unit.decisions.open(a_decision())
        _cut_all(postgres_server)
        unit.decisions.open(a_decision(ETH))

    with pytest.raises(LedgerUnavailable), ledger.begin() as unit:
        open_two(unit)
    with ledger.read() as unit:
        assert unit.decisions.counts() == {}
    ledger.close()


def _cut_all(server: PostgresServer) -> None:
    engine = create_engine(server.url("postgres"))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'throughline'"
        )
    engine.dispose()


def test_durable_units_wait_for_the_disk_on_postgres_too(postgres_url: str) -> None:
    """And the others do not, for their transaction alone."""
    ledger = SqlLedger(postgres_url)
    ledger.migrate()
    with ledger.begin() as unit:  # the one connection that there is
        unit._connection.exec_driver_sql("SET synchronous_commit = on")
    for durable, level in ((False, "off"), (True, "on"), (False, "off")) * 4:
        with ledger.begin(durable=durable) as unit:
            assert unit._connection.exec_driver_sql("SHOW synchronous_commit").scalar() == level
    ledger.close()


def test_a_broken_constraint_is_not_taken_for_an_outage(ledger: SqlLedger) -> None:
    """Trying again would not help."""
    decision = open_one(ledger)
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit._connection.exec_driver_sql(
            f"UPDATE decisions SET outcome = 'failed' WHERE decision_id = '{decision.decision_id}'"  # noqa: S608
        )


def _standing(ledger: SqlLedger) -> Standing:
    long_ago = NOW - timedelta(days=1)
    with ledger.begin() as unit:
        return unit.standing(
            ACCOUNT, ETH, NOW, Horizon(orders=long_ago, latch=long_ago, losses=long_ago, beats=long_ago)
        )


def _forget_losses(connection: Connection) -> None:
    """As it was before revision 0009."""
    connection.exec_driver_sql("DROP INDEX positions_lost")
    connection.exec_driver_sql("ALTER TABLE positions DROP COLUMN lost")


def test_what_was_lost_before_losses_were_kept_still_counts(ledger: SqlLedger) -> None:
    """An upgrade must not re-arm a latch. Amounts are compared exactly: a float would see no difference here."""
    fees = Decimal("0.10000000000000000001")
    for minute, symbol, pnl in (
        (0, BTC, Decimal("0.1")),
        (1, BTC, fees),
        (2, ETH, Decimal("-5")),
        (3, ETH, None),
    ):
        at = NOW - timedelta(minutes=9 - minute)
        decision = open_one(ledger, symbol, at)
        position = a_position(decision, realised_pnl=pnl or Decimal("-9"), fees=fees, opened_at=at)
        with ledger.begin() as unit:
            unit.positions.save(position if pnl is None else closed(position, decision, at))
            unit.decisions.end(decision.decision_id, CheckCode.RATE, "", at)
    before = _standing(ledger).activity
    with ledger.engine.connect() as connection:
        _forget_losses(connection)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0008'")
        connection.commit()
    ledger.migrate()
    after = _standing(ledger).activity
    assert after == before
    assert (after.losses, after.last_loss_at) == (2, NOW - timedelta(minutes=7))


AFTER_0002 = ("assessments", "levels", "alerts", "entries", "balances", "pruned")
"""Tables that later revisions made."""


def test_verdicts_of_before_they_shared_a_row_are_kept_in_their_order(ledger: SqlLedger) -> None:
    """An upgrade must not forget why something was denied."""
    decision = open_one(ledger)
    rows = [("RATE", False, 1), ("MARGIN", True, 0)]
    with ledger.engine.connect() as connection:
        for table in AFTER_0002:
            connection.exec_driver_sql(f"DROP TABLE {table}")
        _forget_losses(connection)
        for index in ("one_open_decision", "decisions_of_exits", "orders_taking_risk", "orders_in_trouble"):
            connection.exec_driver_sql(f"DROP INDEX {index}")
        connection.exec_driver_sql(
            "CREATE INDEX orders_of_account ON orders (account, created_at, state, symbol)"
        )
        connection.exec_driver_sql("ALTER TABLE decisions DROP COLUMN opener")
        connection.exec_driver_sql(
            "CREATE UNIQUE INDEX one_open_decision ON decisions (account, symbol) WHERE ended_at IS NULL"
        )
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
        connection.exec_driver_sql(
            "CREATE TABLE check_verdicts (decision_id VARCHAR, leg VARCHAR, code VARCHAR, place INTEGER, "
            'ok BOOLEAN, value TEXT, "limit" TEXT, detail TEXT)'
        )
        for code, ok, place in rows:
            connection.exec_driver_sql(
                f"INSERT INTO check_verdicts VALUES ('{decision.decision_id}', 'entry', '{code}', {place}, "  # noqa: S608
                f"{ok}, '7 in 1 s', '5', 'why')"
            )
    ledger.migrate()
    with ledger.read() as unit:
        assert list(unit.verdicts.checks_of(decision.decision_id)) == [
            CheckVerdict(CheckCode.MARGIN, True, "7 in 1 s", "5", "why"),  # noqa: FBT003
            CheckVerdict(CheckCode.RATE, False, "7 in 1 s", "5", "why"),  # noqa: FBT003
        ]


def test_a_connection_cut_before_questions_asked_together_is_unavailable(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """They go past SQLAlchemy, and fail in our words all the same; the next unit works."""
    ledger = SqlLedger(postgres_url)
    ledger.migrate()
    horizon = Horizon(orders=NOW, latch=NOW, losses=NOW, beats=NOW)

    def ask(unit: SqlUnit) -> Standing:
        return unit.standing(ACCOUNT, ETH, NOW, horizon)

    def ask_cut(unit: SqlUnit) -> None:
        _cut_all(postgres_server)
        ask(unit)

    with pytest.raises(LedgerUnavailable, match="PostgreSQL"), ledger.begin() as unit:
        ask_cut(unit)
    with ledger.begin() as unit:
        assert ask(unit).positions == []
    ledger.close()


def test_questions_asked_together_of_a_ledger_without_tables_say_so(postgres_url: str) -> None:
    """Whatever the database complains of comes in our words."""
    ledger = SqlLedger(postgres_url)
    horizon = Horizon(orders=NOW, latch=NOW, losses=NOW, beats=NOW)
    with pytest.raises(LedgerUnavailable, match="tables are missing"), ledger.begin() as unit:
        unit.standing(ACCOUNT, ETH, NOW, horizon)
    ledger.close()


def test_what_is_asked_of_an_account_is_planned_once(postgres_url: str) -> None:
    """Planned anew for each decision, as it would be with a long history, it would cost several times as much."""
    ledger = SqlLedger(postgres_url)
    ledger.migrate()
    horizon = Horizon(orders=NOW, latch=NOW, losses=NOW, beats=NOW)
    for _ in range(10):
        with ledger.begin() as unit:
            unit.standing(ACCOUNT, ETH, NOW, horizon)
    with ledger.begin() as unit:  # the one connection that there is
        plans = unit._connection.exec_driver_sql(
            "SELECT generic_plans > 0, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%json_agg%%'"
        ).all()
    assert plans == [(True, 0)]
    ledger.close()
