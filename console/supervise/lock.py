"""One `up` at a time owns a home; what a killed one left there is ended first."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from console.supervise.control import end_family
from pipeline.domain.errors import ConfigError


@contextmanager
def owned(home: Path) -> Iterator[None]:
    """This process owns the home until the block ends. Raises: ConfigError when another one does.

    The lock goes with the process, however it ends; a file that was left behind locks nobody out.
    """
    with (home / "run" / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(home, lock.name) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _in_use(home: Path, lock: str) -> ConfigError:
    pid = Path(lock).read_text().strip()
    return ConfigError(
        f"another `throughline up` (pid {pid}) is running with this home",
        where=str(home),
        remedy=f"stop it (kill {pid}), or set THROUGHLINE_HOME to another folder",
    )


def left_behind(home: Path) -> int | None:
    """The pid of a supervisord that a killed run of this home left; it may be stopping its programs now."""
    try:
        pid = int((home / "run" / "supervisord.pid").read_text())
        words = psutil.Process(pid).cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return pid if str(home / "run" / "supervisord.conf") in words else None


def end_left_behind(home: Path, patience_s: float) -> bool:
    """End what a killed run left. False when there was nothing."""
    pid = left_behind(home)
    if pid is None:
        return False
    end_family(pid, patience_s)
    return True
