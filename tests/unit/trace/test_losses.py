"""Lines that were lost are told once there is room again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.domain.events import EventName
from pipeline.trace import logs
from pipeline.trace.events import LoggedEvents
from tests.unit.trace.conftest import Configure


def test_lost_lines_are_counted_and_said_later(
    log: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap in the log that says that it is one."""
    lines = log("beat")
    LoggedEvents().emit(EventName.SECURITY, number=0)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    assert logs.writer().problem == ""
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        for number in range(3):
            LoggedEvents().emit(EventName.SECURITY, number=number)
        assert (
            logs.writer().problem
            == "they cannot be written: 6 lines of beat.jsonl, all.jsonl are lost so far"
        )
    LoggedEvents().emit(EventName.SECURITY, number=4)
    assert logs.writer().problem == ""
    LoggedEvents().emit(EventName.SECURITY, number=5)

    for name in ("beat.jsonl", "all.jsonl"):
        told = [line for line in lines(name) if line["event"] == "LOG_LINES_LOST"]
        assert [(line["lines"], line["file"]) for line in told] == [(3, name)]
