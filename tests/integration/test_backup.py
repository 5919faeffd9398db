"""A copy of the ledger while it is in use, and the way back; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from console.main import application
from pipeline.domain.errors import ConfigError
from pipeline.domain.guards import Heartbeat
from pipeline.domain.switches import TradingState
from pipeline.ledger.sql import SqlLedger
from tests.support.servers import PostgresServer, postgres_binaries
from tests.unit.ledger.ledger_worlds import open_one

ACCOUNT = "paper-main"
KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=KINDS)
def ledger(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SqlLedger]:
    """A ledger with one decision; the commands find it by its variable."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create_database())
        monkeypatch.setenv("PATH", f"{postgres_binaries()}:/usr/bin:/bin")
    else:
        url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    monkeypatch.setenv("THROUGHLINE_LEDGER_URL", url)
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    made = SqlLedger(url)
    made.migrate()
    yield made
    made.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(application(["backup", "restore", "migrate"]), words)


def beat(ledger: SqlLedger, at: datetime) -> None:
    """A process takes part in decisions."""
    with ledger.begin() as unit:
        unit.guards.beat(Heartbeat(process="alpha/1", account=ACCOUNT, config_hash="hash", beat_at=at))


def test_what_was_copied_comes_back_and_nobody_trades_with_it_unasked(
    ledger: SqlLedger, tmp_path: Path
) -> None:
    """What came after the copy is gone; the exchange still has it, so a person looks first."""
    before = open_one(ledger, "BTC/USDT:USDT")
    with ledger.begin() as unit:
        now = datetime.now(UTC)
        unit.switches.set_trading_state(ACCOUNT, TradingState.ACTIVE, by="test", reason="", at=now)
    copy = tmp_path / "copy"
    assert run("backup", str(copy)).exit_code == 0
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="exists"):
        raise run("backup", str(copy)).exception or AssertionError("it was overwritten")
    later = open_one(ledger, "ETH/USDT:USDT")
    ledger.close()

    restored = run("restore", str(copy))

    assert restored.exit_code == 0, (restored.output, restored.exception)
    with ledger.read() as unit:
        assert unit.decisions.get(before.decision_id) == before
        assert unit.decisions.get(later.decision_id) is None
        assert unit.switches.trading_state(ACCOUNT) is TradingState.HALTED


def test_nothing_is_restored_under_running_processes(ledger: SqlLedger, tmp_path: Path) -> None:
    """They would go on with what they remember."""
    copy, now = tmp_path / "copy", datetime.now(UTC)
    assert run("backup", str(copy)).exit_code == 0
    beat(ledger, now)
    refused = run("restore", str(copy))
    assert isinstance(refused.exception, ConfigError)
    assert "alpha/1" in str(refused.exception)
    beat(ledger, now - timedelta(minutes=1))
    assert run("restore", str(copy)).exit_code == 0


def test_what_is_no_ledger_is_not_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file, copied with `cp` while it was written, would be believed."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    made = SqlLedger(f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite3'}")
    made.migrate()
    made.close()
    whole = (tmp_path / "home" / "ledger.sqlite3").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text").write_text("hello")
    for name in ("half", "text", "missing"):
        assert isinstance(run("restore", str(tmp_path / name)).exception, ConfigError)
    assert (tmp_path / "home" / "ledger.sqlite3").read_bytes() == whole


def test_a_broken_ledger_can_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what copies are for; the broken one is kept for whoever wants to look at it."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    assert run("migrate").exit_code == 0
    assert run("backup", str(tmp_path / "copy")).exit_code == 0
    (tmp_path / "ledger.sqlite3").write_bytes(b"rubbish" * 1000)
    restored = run("restore", str(tmp_path / "copy"))
    assert restored.exit_code == 0, restored.exception
    assert len(list(tmp_path.glob("ledger.sqlite3.before-*"))) == 1


def test_an_older_ledger_in_use_is_not_migrated(ledger: SqlLedger) -> None:
    """A release that still runs would find tables that it does not know."""
    beat(ledger, datetime.now(UTC))
    assert run("migrate").exit_code == 0  # of this revision: nothing to do
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0005'")
    refused = run("migrate")
    assert isinstance(refused.exception, ConfigError)
    assert "migrating" in str(refused.exception)
