"""The pipes between a worker's main process and the children of its pool, seen from outside. Linux only."""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress
from pathlib import Path


def of_results(main: int, child: int) -> Path:
    """Through which the child tells what became of its tasks: to be opened for writing.

    The main process holds both ends of it, and the child the end to write to.
    """
    held = _pipes(main, stat.S_IRUSR).keys() & _pipes(main, stat.S_IWUSR).keys()
    mine = _pipes(child, stat.S_IWUSR)
    (found,) = held & (mine.keys() - _pipes(child, stat.S_IRUSR).keys())
    return mine[found]


def is_full(pipe: Path) -> bool:
    """Whether whoever writes to it waits for whoever reads it."""
    number = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        _, writable, _ = select.select([], [number], [], 0)
    finally:
        os.close(number)
    return not writable


def _pipes(pid: int, way: int) -> dict[str, Path]:
    """Each pipe that a process may use that way, by its name in the kernel."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            name = str(path.readlink())
            if name.startswith("pipe:") and path.lstat().st_mode & way:
                found[name] = path
    return found
