"""What a run was started with, and what changed since the last one."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.home import Home
from config.loading import read
from config.snapshot import overrides
from pipeline.domain.events import EventName
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.trace import runs
from pipeline.trace.events import RecordedEvents

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def begun(ledger: SqlLedger, folder: Path, at: datetime, **variables: str) -> runs.Run:
    loaded = read({f"THROUGHLINE_{name}": value for name, value in variables.items()}, folder)
    with ledger.begin() as unit:
        return runs.begin(unit, loaded.settings, overrides(loaded), account="paper-main", at=at)


def test_a_run_tells_its_hash_overrides_and_changes(tmp_path: Path) -> None:
    """The answer to `it worked yesterday`."""
    ledger, events = memory_ledger(), RecordedEvents()
    first = begun(ledger, tmp_path, AT)

    second = begun(ledger, tmp_path, AT + timedelta(hours=1), CHAIN_CADENCE_S="5")
    runs.tell(second, events)
    ledger.close()

    assert first.changes is None
    assert events.of(EventName.CONFIG_HASH) == [
        {"session_id": "session_20260102_040405", "config_hash": second.config_hash}
    ]
    override = {
        "variable": "THROUGHLINE_CHAIN_CADENCE_S",
        "key": "chain.cadence_s",
        "default": 30.0,
        "value": 5.0,
    }
    assert events.of(EventName.CONFIG_OVERRIDES) == [{"overrides": [override]}]
    change = {"key": "chain.cadence_s", "old": 30.0, "new": 5.0}
    assert events.of(EventName.CONFIG_DIFF) == [{"changes": [change]}]


def test_an_unchanged_run_reports_no_change(tmp_path: Path) -> None:
    """A warning at each start would be read by nobody."""
    ledger, events = memory_ledger(), RecordedEvents()
    begun(ledger, tmp_path, AT)

    runs.tell(begun(ledger, tmp_path, AT + timedelta(hours=1)), events)
    ledger.close()

    assert events.names == [EventName.CONFIG_HASH]


def test_a_runs_folder_holds_its_configuration_without_secrets(tmp_path: Path) -> None:
    """It can be sent to somebody who helps."""
    ledger = memory_ledger()
    run = begun(ledger, tmp_path, AT, GOVERNOR_PERMIT_KEY="hush-hush")
    ledger.close()

    path = runs.keep(run, Home(tmp_path))

    kept = json.loads(path.read_text())
    assert path == tmp_path / "sessions" / "session_20260102_030405" / "config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept["config_hash"] == run.config_hash
    assert kept["snapshot"]["governor"]["permit_key"] == "(set)"
    assert "hush-hush" not in path.read_text()
