"""Log files that several processes share. Two `LogFile`s on one path behave like two processes."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from pipeline.trace import logfile
from pipeline.trace.logfile import LogFile

LINE = b"x" * 99 + b"\n"


@pytest.fixture(autouse=True)
def _looks_at_every_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """In production a writer looks for a deleted or renamed file once a second."""
    monkeypatch.setattr(logfile, "LOOK_EVERY_S", 0.0)


def files_in(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_full_file_is_rotated_and_only_so_many_are_kept(tmp_path: Path) -> None:
    """A disk filled by logs takes the ledger down with it."""
    log = LogFile(tmp_path / "all.jsonl", max_bytes=1000, keep=2)

    for _ in range(100):
        assert log.write(LINE)

    assert files_in(tmp_path) == {"all.jsonl": 1000, "all.jsonl.1": 1000, "all.jsonl.2": 1000}


def test_a_writer_follows_a_file_that_another_one_rotated(tmp_path: Path) -> None:
    """Otherwise it would fill the old one for ever."""
    path = tmp_path / "all.jsonl"
    first, second = (LogFile(path, max_bytes=1000, keep=3) for _ in range(2))
    second.write(b"second\n")

    for _ in range(10):
        first.write(LINE)
    second.write(b"after\n")

    assert path.read_bytes().endswith(b"after\n")
    assert path.stat().st_size < 1000


def test_two_writers_lose_and_tear_no_line(tmp_path: Path) -> None:
    """A line that is missing is a decision without a story."""
    path = tmp_path / "all.jsonl"
    writers = [LogFile(path, max_bytes=2000, keep=50) for _ in range(2)]

    for number in range(500):
        writers[number % 2].write(f"line {number:04}\n".encode())

    text = "".join(found.read_text() for found in tmp_path.iterdir() if not found.name.endswith(".lock"))
    assert sorted(text.splitlines()) == [f"line {number:04}" for number in range(500)]


def test_a_file_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    """People delete logs while the system runs."""
    log = LogFile(tmp_path / "all.jsonl", max_bytes=1000, keep=2)
    log.write(LINE)
    (tmp_path / "all.jsonl").unlink()

    log.write(LINE)

    assert files_in(tmp_path) == {"all.jsonl": 100}


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trading goes on, and the loss is counted."""
    log = LogFile(tmp_path / "all.jsonl", max_bytes=1000, keep=2)
    log.write(LINE)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert not log.write(LINE)
        assert not log.write(LINE)

    assert log.lost == 2
    assert log.write(LINE)


def test_half_a_line_does_not_spoil_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk can take the first half of a line and refuse the rest."""
    log = LogFile(tmp_path / "all.jsonl", max_bytes=1000, keep=2)
    log.write(b"first\n")
    real = os.write

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
        assert not log.write(b"second\n")
    log.write(b"third\n")

    assert (tmp_path / "all.jsonl").read_bytes() == b"first\nsec\nthird\n"
    assert log.lost == 1


def test_a_folder_that_is_missing_loses_lines_until_it_is_there(tmp_path: Path) -> None:
    """No stack trace out of a log call."""
    log = LogFile(tmp_path / "gone" / "all.jsonl", max_bytes=1000, keep=2)
    assert not log.write(LINE)

    (tmp_path / "gone").mkdir()

    assert log.write(LINE)
    assert log.lost == 1


def test_a_file_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    """An older release, or a hand, may have made it."""
    (tmp_path / "all.jsonl").touch(0o644)

    LogFile(tmp_path / "all.jsonl", max_bytes=1000, keep=2).write(LINE)

    assert (tmp_path / "all.jsonl").stat().st_mode & 0o077 == 0


def test_a_file_that_somebody_just_rotated_is_not_rotated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who find it full at once would push a fresh file out, and the oldest lines with it."""
    path = tmp_path / "all.jsonl"
    log = LogFile(path, max_bytes=1000, keep=3)
    for _ in range(10):
        log.write(LINE)
    real = LogFile._rotate

    def too_late(late: LogFile, wanted: int) -> None:
        path.rename(tmp_path / "all.jsonl.1")
        path.write_bytes(b"fresh\n")
        real(late, wanted)

    monkeypatch.setattr(LogFile, "_rotate", too_late)
    log.write(b"mine\n")

    assert files_in(tmp_path) == {"all.jsonl": 11, "all.jsonl.1": 1000}


def test_a_writer_that_rotates_for_ever_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process can be frozen while it has the lock. The others wait once, then write a file that is too large."""
    monkeypatch.setattr(logfile, "PATIENCE_S", 0.01)
    monkeypatch.setattr(logfile, "IMPATIENT_FOR_S", 3600.0)
    waits: list[float] = []
    real = logfile._is_locked

    def counted(descriptor: int, until: float) -> bool:
        waits.append(until)
        return real(descriptor, until)

    monkeypatch.setattr(logfile, "_is_locked", counted)
    log = LogFile(tmp_path / "all.jsonl", max_bytes=1000, keep=3)

    with (tmp_path / ".all.jsonl.lock").open("w") as frozen:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        assert all(log.write(LINE) for _ in range(100))

    assert len(waits) == 1
    assert files_in(tmp_path) == {"all.jsonl": 10_000}


def test_logging_stops_while_there_is_still_room_for_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is what can be done without; trading goes on, and logging too once there is room again."""
    room = [10_000]
    monkeypatch.setattr(LogFile, "free_bytes", property(lambda log: room[0]))
    log = LogFile(tmp_path / "all.jsonl", max_bytes=1000, keep=2, keep_free=5000)
    assert log.write(LINE)

    room[0] = 4999
    assert not log.write(LINE)
    assert log.stopped
    assert log.write(b"the last word\n", last=True)

    room[0] = 5000
    assert log.write(LINE)
    assert (log.stopped, log.lost) == (False, 1)
