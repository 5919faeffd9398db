"""`throughline config diff`: what changed since it last worked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.loading import read
from console.main import application
from pipeline.ledger.sql import SqlLedger
from pipeline.trace import runs

APP = application()

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose ledger knows two runs: with a cadence of 30 s, then of 5 s with a permit key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    ledger.migrate()
    told = {"THROUGHLINE_CHAIN_CADENCE_S": "5", "THROUGHLINE_GOVERNOR_PERMIT_KEY": "hush-hush"}
    for number, env in enumerate(({}, told)):
        settings = read({**env, "THROUGHLINE_HOME": str(tmp_path)}, tmp_path).settings
        with ledger.begin() as unit:
            runs.begin(unit, settings, [], account="paper-main", at=AT + timedelta(hours=number))
    ledger.close()
    return tmp_path


def said(*arguments: str, code: int) -> str:
    result = CliRunner().invoke(APP, ["config", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_it_compares_two_runs_key_by_key(home: Path) -> None:
    """Old and new value of each key; a secret only says that it is set."""
    first, second = "session_20260102_030405", "session_20260102_040405"

    told = json.loads(said("diff", first, second, "--json", code=1))

    assert told["changes"] == [
        {"key": "chain.cadence_s", "old": 30.0, "new": 5.0},
        {"key": "governor.permit_key", "old": "", "new": "(set)"},
    ]
    assert "chain.cadence_s" in said("diff", first, second, code=1)
    assert "nothing changed" in said("diff", first, first, code=0)


def test_without_names_it_compares_the_newest_run_with_now(home: Path) -> None:
    """Before a restart: what would be different?"""
    told = json.loads(said("diff", "--json", code=1))

    assert (told["from"], told["to"]) == ("session_20260102_040405", "now")
    assert {each["key"] for each in told["changes"]} == {"chain.cadence_s", "governor.permit_key"}


def test_runs_are_listed_the_newest_first(home: Path) -> None:
    """Names to compare by."""
    told = json.loads(said("runs", "--json", code=0))

    assert [run["session_id"][-6:] for run in told] == ["040405", "030405"]
