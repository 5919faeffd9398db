"""Copies of the ledger, the way back, and what is forgotten after a while; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from console.main import application
from pipeline.domain.errors import ConfigError, InvariantBroken, LedgerUnavailable
from pipeline.domain.guards import Heartbeat
from pipeline.domain.outcomes import EndReason
from pipeline.domain.switches import TradingState
from pipeline.ledger.pruning import prune
from pipeline.ledger.rights import grant
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.statistics import Span
from tests.support.servers import PostgresServer, postgres_binaries
from tests.unit.ledger.ledger_worlds import NOW, a_stage, open_one, permitted

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
    return CliRunner().invoke(application(["backup", "restore", "migrate", "prune"]), words)


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


def test_what_wanted_nothing_is_forgotten_and_stays_counted(ledger: SqlLedger) -> None:
    """Millions of rows a day say nothing after some weeks; what led to an order is kept for ever."""
    reasons = [EndReason.NO_SIGNAL] * 3 + [EndReason.STALE_CANDLES, EndReason.STAGE_RAISED]
    slots = [NOW + timedelta(minutes=at) for at in range(len(reasons))]
    ids = []
    for slot, reason in zip(slots, reasons, strict=True):
        decision = open_one(ledger, slot=slot, enqueued_at=slot)
        ids.append(decision.decision_id)
        with ledger.begin() as unit:
            unit.stages.add(a_stage(decision.decision_id))
            assert unit.decisions.end(decision.decision_id, reason, "", slot + timedelta(seconds=1))
    ordered = permitted(ledger, slot=slots[-1] + timedelta(minutes=1))
    with ledger.begin() as unit:
        unit.decisions.end(ordered.terms.decision_id, EndReason.NO_SIGNAL, "", NOW + timedelta(hours=1))
    before = ends(ledger)

    assert [prune(ledger, slots[3], batch=2), prune(ledger, NOW + timedelta(days=1)), prune(ledger, NOW)] == [
        2,
        2,
        0,
    ]

    assert ends(ledger) == before
    with ledger.read() as unit:
        kept = [each for each in ids if unit.decisions.get(each) is not None]
        assert kept == ids[-1:]
        assert unit.decisions.get(ordered.terms.decision_id) is not None
        assert [len(unit.stages.of(each)) for each in ids] == [0, 0, 0, 0, 1]


def ends(ledger: SqlLedger) -> Counter[tuple[str, str]]:
    """How decisions ended, as every report counts them."""
    told: Counter[tuple[str, str]] = Counter()
    with ledger.read() as unit:
        day = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
        for each in unit.statistics.ends(Span(since=day, until=day + timedelta(days=2))):
            told[str(each.outcome), str(each.reason)] += each.many
    return told


@pytest.mark.postgres
def test_the_role_that_workers_connect_with_forgets_nothing(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """Whoever takes over a worker cannot make the record shorter."""
    owner = SqlLedger(postgres_url)
    owner.migrate()
    postgres_server.create_role("forgetful")
    grant(owner.engine, "forgetful")
    decision = open_one(owner)
    with owner.begin() as unit:
        unit.decisions.end(decision.decision_id, EndReason.NO_SIGNAL, "", NOW)
    worker = SqlLedger(postgres_url.replace(f"{PostgresServer.USER}@", "forgetful@"))
    with pytest.raises((LedgerUnavailable, InvariantBroken)):
        prune(worker, NOW + timedelta(days=1))
    worker.close()
    assert prune(owner, NOW + timedelta(days=1)) == 1
    owner.close()


def test_forgetting_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default nothing is; with a number of days, what is older."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    assert run("migrate").exit_code == 0
    assert isinstance(run("prune").exception, ConfigError)
    monkeypatch.setenv("THROUGHLINE_LEDGER_KEEP_WITHOUT_SIGNAL_DAYS", "30")
    assert "0 decisions" in run("prune").output
