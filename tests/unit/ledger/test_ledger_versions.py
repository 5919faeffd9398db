"""A ledger that cannot be used says so, says why, and is left as it was."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.domain.errors import ConfigError
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.schema import HEAD, MIGRATIONS, REVISIONS
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.tables import metadata
from tests.unit.ledger.ledger_worlds import open_one


def _ledger(file: Path) -> SqlLedger:
    return SqlLedger(f"sqlite:///{file}", busy_timeout_s=0.05)


def _complaint(file: Path) -> str:
    ledger = _ledger(file)
    with pytest.raises(ConfigError) as caught:
        ledger.check_version()
    ledger.close()
    return str(caught.value)


def _set_revision(file: Path, revision: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_a_migrated_ledger_is_accepted(ledger_file: Path) -> None:
    """And migrating it again changes nothing."""
    ledger = _ledger(ledger_file)
    decision = open_one(ledger)
    ledger.migrate()
    ledger.check_version()
    with ledger.read() as unit:
        assert unit.decisions.get(decision.decision_id) == decision
    ledger.close()


def test_a_new_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    """Positions and profit are nobody else's business, nor what is on its way into the file."""
    before = os.umask(0o022)
    try:
        ledger = _ledger(tmp_path / "ledger.sqlite3")
        ledger.migrate()
        with ledger.read():
            modes = {file.suffix: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        ledger.close()
    finally:
        os.umask(before)
    assert modes == {".sqlite3": 0o600, ".sqlite3-wal": 0o600, ".sqlite3-shm": 0o600}


def test_a_ledger_in_memory_is_accepted() -> None:
    """Whoever checks the version at the start may be given one."""
    ledger = memory_ledger()
    ledger.check_version()
    ledger.close()


def test_every_migration_is_known_by_its_revision() -> None:
    """Else its own ledger would be taken for one of a newer program."""
    files = sorted((MIGRATIONS / "versions").glob("*.py"))
    assert tuple(file.name.split("_")[0] for file in files) == REVISIONS
    assert REVISIONS[-1] == HEAD


def test_the_docs_name_every_table() -> None:
    """A table that nobody explains is one that nobody finds."""
    docs = (MIGRATIONS.parents[2] / "docs" / "ledger.md").read_text()
    assert [name for name in metadata.tables if f"| `{name}` |" not in docs] == []


def test_a_missing_ledger_is_named_and_not_created(tmp_path: Path) -> None:
    """An empty file left behind would look like a ledger that lost everything."""
    file = tmp_path / "ledger.sqlite3"
    complaint = _complaint(file)
    assert str(file) in complaint
    assert "throughline up" in complaint
    assert not file.exists()


def test_an_empty_database_is_a_missing_ledger(tmp_path: Path) -> None:
    """It has no tables, whatever its file says."""
    file = tmp_path / "ledger.sqlite3"
    file.touch()
    assert "no ledger" in _complaint(file)
    ledger = _ledger(file)
    with pytest.raises(ConfigError):
        ledger.check_version()
    ledger.migrate()
    ledger.check_version()
    ledger.close()


def test_a_ledger_of_a_newer_program_is_left_alone(ledger_file: Path) -> None:
    """Both revisions are named; neither checking nor migrating touches a byte."""
    _set_revision(ledger_file, "9999")
    before = ledger_file.read_bytes()
    complaint = _complaint(ledger_file)
    assert "9999" in complaint
    assert HEAD in complaint
    ledger = _ledger(ledger_file)
    with pytest.raises(ConfigError, match="newer"):
        ledger.migrate()
    ledger.close()
    assert ledger_file.read_bytes() == before


def test_an_older_ledger_is_asked_to_be_brought_up_to_date(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker must not start on tables that it does not know."""
    monkeypatch.setattr("pipeline.ledger.schema.REVISIONS", ("0000", HEAD))
    _set_revision(ledger_file, "0000")
    complaint = _complaint(ledger_file)
    assert "0000" in complaint
    assert "throughline up" in complaint


def test_a_new_file_that_another_process_is_switching_over_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself does not wait there: of eight processes that start together, some would die."""
    file = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr("pipeline.ledger.schema.time.sleep", lambda _seconds: other.execute("ROLLBACK"))
        ledger = _ledger(file)
        ledger.migrate()
    ledger.check_version()
    ledger.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """And stays what it is."""
    file = tmp_path / "notes.txt"
    file.write_text("Dear diary, " * 200)
    assert "not a SQLite database" in _complaint(file)
    ledger = _ledger(file)
    with pytest.raises(ConfigError, match="not a SQLite database"):
        ledger.migrate()
    ledger.close()
    assert file.read_text() == "Dear diary, " * 200


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message names the folder, not only the file that would be in it."""
    (tmp_path / "occupied").touch()
    ledger = _ledger(tmp_path / "occupied" / "home" / "ledger.sqlite3")
    with pytest.raises(ConfigError, match="occupied"):
        ledger.migrate()


def test_a_read_only_ledger_is_named(ledger_file: Path) -> None:
    """Found at the start, not at the first decision."""
    # Opened read-only: root, whom tests may run as, does not mind the mode of a file.
    ledger = SqlLedger(f"sqlite:///file:{ledger_file}?mode=ro&uri=true")
    with pytest.raises(ConfigError, match="read-only"):
        ledger.migrate()
    ledger.close()


@pytest.mark.parametrize("read_only", ["ledger.sqlite3", ""])
def test_a_worker_does_not_start_on_a_read_only_ledger_or_folder(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch, read_only: str
) -> None:
    """It would answer every decision with an error. (The check is simulated: root may write everywhere.)"""
    forbidden = ledger_file.parent / read_only
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != forbidden)
    assert str(forbidden) in _complaint(ledger_file)


@pytest.mark.parametrize(
    "url", ["", "ledger.sqlite3", "mysql://host/db", "postgresql+nosuch://host/db", "postgres://host/db"]
)
def test_an_address_that_is_no_ledger_is_refused(url: str) -> None:
    """With the two forms that are."""
    with pytest.raises(ConfigError, match="sqlite:///"):
        SqlLedger(url)
