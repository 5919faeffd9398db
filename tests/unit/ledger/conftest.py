"""Ledgers for unit tests: in memory, and a file of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty ledger to copy: migrating takes longer than a test."""
    file = tmp_path_factory.mktemp("ledger") / "empty.sqlite3"
    ledger = SqlLedger(f"sqlite:///{file}")
    ledger.migrate()
    ledger.close()
    return file


@pytest.fixture
def ledger_file(migrated_file: Path, tmp_path: Path) -> Path:
    """A migrated, empty ledger of this test alone."""
    return Path(shutil.copy(migrated_file, tmp_path / "ledger.sqlite3"))


@pytest.fixture(params=["memory", "file"])
def ledger(request: pytest.FixtureRequest) -> Iterator[SqlLedger]:
    """An empty ledger."""
    if request.param == "memory":
        ledger = memory_ledger()
    else:
        ledger = SqlLedger(f"sqlite:///{request.getfixturevalue('ledger_file')}", busy_timeout_s=2.0)
    yield ledger
    ledger.close()
