"""The pipes between a worker's main process and the children of its pool, seen from outside. Linux only."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from pathlib import Path


def of_results(main: int, child: int) -> Path:
    """Through which the child tells what became of its tasks: to be opened for reading, or for writing.

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
    return {
        name: path
        for name, path in _open_files(pid)
        if name.startswith("pipe:") and path.lstat().st_mode & way
    }


def _open_files(pid: int) -> Iterator[tuple[str, Path]]:
    for path in Path(f"/proc/{pid}/fd").iterdir():
        yield str(path.readlink()), path
