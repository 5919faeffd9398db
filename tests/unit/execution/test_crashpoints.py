"""Where a rehearsal may kill this process: only where it was told to, and never where money is at stake."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError
from pipeline.execution import crashpoints
from pipeline.execution.crashpoints import CrashPoint, arm, reached


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What would have been sent to whom; afterwards nothing is armed."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(crashpoints, "_armed", [])
    return sent


@pytest.mark.parametrize("mode", [Mode.TESTNET, Mode.LIVE])
def test_nothing_can_be_armed_where_something_is_at_stake(mode: Mode, tmp_path: Path) -> None:
    """A variable left over from a rehearsal stops the start; it never kills a worker that trades."""
    with pytest.raises(ConfigError, match="THROUGHLINE_CRASH_PLAN"):
        arm(str(tmp_path), mode)
    assert crashpoints._armed == []


def test_nothing_happens_without_a_plan(tmp_path: Path, signals: list[tuple[int, int]]) -> None:
    """Every worker passes these points with every order."""
    (tmp_path / CrashPoint.BEFORE_SEND).write_text("KILL 1")
    arm("", Mode.PAPER)
    reached(CrashPoint.BEFORE_SEND)
    assert signals == []


def test_the_nth_arrival_is_hit_once_and_says_who_it_was(
    tmp_path: Path, signals: list[tuple[int, int]]
) -> None:
    """One planned accident is one accident, however many processes come by."""
    (tmp_path / CrashPoint.BEFORE_SEND).write_text("STOP 2")
    arm(str(tmp_path), Mode.PAPER)
    for point in (CrashPoint.BEFORE_SEND, CrashPoint.BOOKED, CrashPoint.BEFORE_SEND, CrashPoint.BEFORE_SEND):
        reached(point)
    assert signals == [(os.getpid(), signal.SIGSTOP)]
    assert [file.name for file in tmp_path.iterdir()] == [f"before_send.{os.getpid()}"]
