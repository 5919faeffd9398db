"""Debugging an area of a running process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.domain.events import Area, EventName
from pipeline.trace import debugging
from pipeline.trace.debugging import Debugging, switch
from pipeline.trace.events import LoggedEvents
from tests.unit.trace.conftest import Configure

SOON = datetime.now(UTC) + timedelta(hours=1)
PAST = datetime.now(UTC) - timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In production a process looks once a second."""
    monkeypatch.setattr(debugging, "LOOK_EVERY_S", 0.0)


def test_an_area_is_switched_on_and_off_while_the_process_runs(tmp_path: Path) -> None:
    """Restarting a worker to see what it does loses what one wanted to see."""
    path = tmp_path / "debug.json"
    here = Debugging(path)
    assert not here.wants(Area.GOVERNOR)

    switch(path, {Area.GOVERNOR: SOON})
    assert here.wants(Area.GOVERNOR)
    assert not here.wants(Area.FETCH)

    switch(path, {})
    assert not here.wants(Area.GOVERNOR)


def test_it_ends_by_itself(tmp_path: Path) -> None:
    """Somebody will forget it, and the disk will be full."""
    switch(tmp_path / "debug.json", {Area.LEDGER: PAST, Area.FETCH: SOON})
    here = Debugging(tmp_path / "debug.json")

    assert here.wants(Area.FETCH)
    assert not here.wants(Area.LEDGER)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"governor": 7}', '{"kitchen": "2026-01-01T00:00:00Z"}'])
def test_a_file_that_is_not_ours_is_off(tmp_path: Path, text: str) -> None:
    """No process may die of it."""
    (tmp_path / "debug.json").write_text(text)

    assert not Debugging(tmp_path / "debug.json").wants(Area.GOVERNOR)


def test_debug_lines_are_written_at_level_info_when_their_area_is_on(log: Configure, tmp_path: Path) -> None:
    """One area, not the flood of all of them."""
    lines = log(LOGGING_LEVEL="INFO")
    events = LoggedEvents()
    assert not events.wants(Area.GOVERNOR)

    switch(debugging.path_in(tmp_path), {Area.GOVERNOR: SOON})

    assert events.wants(Area.GOVERNOR)
    events.emit(EventName.DEBUG, area="governor", what="every check", data={"MAX_QTY": {"ok": True}})
    (record,) = lines("all.jsonl")
    assert (record["level"], record["data"]) == ("debug", {"MAX_QTY": {"ok": True}})
