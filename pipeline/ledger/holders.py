"""Who keeps a SQLite ledger locked without ever letting go.

A process that was stopped (SIGSTOP) inside a writing unit keeps everybody else from writing: no fill is booked, no
position protected. Its unit is not committed, so ending it undoes what it wrote there; what it worked on is done again,
as after every kill. Only a process of ours is ended, and only while it is stopped. Linux tells; elsewhere nobody is
found.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

WRITE_LOCK = "120"
"""The byte of the -shm file that a writer locks. Source: SQLite, "WAL-mode File Format", 2.3.1."""
PROCESSES = Path("/proc")


def end_stopped_writer(database: Path) -> int | None:
    """End the process of ours that is stopped while it holds the ledger's writing lock; its id, None without one."""
    index = Path(f"{database}-shm")
    with suppress(OSError, ValueError, IndexError):
        for pid in _writers(index.stat().st_ino):
            if _is_stopped(pid) and _is_ours(pid) and _has_open(pid, index):
                os.kill(pid, signal.SIGKILL)
                return pid
    return None


def _writers(inode: int) -> Iterator[int]:
    """Lines like `7: POSIX  ADVISORY  WRITE 1234 fd:01:5678 120 120`."""
    for line in (PROCESSES / "locks").read_text(encoding="ascii").splitlines():
        words = line.split()
        writes = words[1] == "POSIX" and words[3] == "WRITE" and words[-2:] == [WRITE_LOCK, WRITE_LOCK]
        if writes and words[-3].rpartition(":")[2] == str(inode):
            yield int(words[4])


def _is_stopped(pid: int) -> bool:
    stat = (PROCESSES / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return stat.rpartition(")")[2].split()[0] == "T"


def _is_ours(pid: int) -> bool:
    """Somebody's database browser is theirs to wake."""
    return (PROCESSES / str(pid) / "exe").readlink() == (PROCESSES / "self" / "exe").readlink()


def _has_open(pid: int, file: Path) -> bool:
    wanted = str(file.resolve())
    return any(str(link.readlink()) == wanted for link in (PROCESSES / str(pid) / "fd").iterdir())
