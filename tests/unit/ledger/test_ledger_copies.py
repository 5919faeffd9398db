"""Copies of the ledger that cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from pipeline.domain.errors import ConfigError
from pipeline.ledger import copies
from pipeline.ledger.engines import parse_url
from pipeline.ledger.sql import SqlLedger


@pytest.fixture
def url(tmp_path: Path) -> URL:
    made = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    made.migrate()
    made.close()
    return parse_url(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")


def refusal(url: URL, target: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        copies.backup(url, target)
    return caught.value


def test_a_folder_that_is_not_there_is_named(url: URL, tmp_path: Path) -> None:
    """A disk that was not mounted is the everyday mistake of whoever makes copies at night."""
    target = tmp_path / "nowhere" / "copy.db"
    told = refusal(url, target)
    assert told.where == str(target)
    assert "No such file or directory" in told.what
    assert "Name a file" in told.remedy


def test_a_broken_ledger_is_said_to_be_broken_and_leaves_no_copy(url: URL, tmp_path: Path) -> None:
    """Whoever makes a copy of it needs to hear so at once: the older copies are all there is."""
    Path(str(url.database)).write_bytes(b"not a database at all" * 400)
    told = refusal(url, tmp_path / "copy.db")
    assert told.where == url.database
    assert "not a SQLite database" in told.what
    assert [each.name for each in tmp_path.iterdir() if "copy" in each.name] == []
