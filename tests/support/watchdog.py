"""Ends what a test run left behind, however the run itself ended.

A program of its own, started once for each pytest process. It reads lines from its standard input:

    run <pid>     this process, and everything it starts, must not outlive the run
    end <pid>     it has ended by itself
    dir <path>    this folder must not outlive the run

When the input closes, because the run is over or was killed, what is left is asked to stop, then killed, and
the folders are removed. Works the same after SIGKILL, and on systems without PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable

import psutil

GRACE_S = 5.0


def main() -> None:
    """Follows the lines until they end, then cleans up."""
    pids, folders = follow(sys.stdin)
    end_trees(pids, GRACE_S)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def follow(lines: Iterable[str]) -> tuple[set[int], list[str]]:
    """The processes still running and the folders to remove, once the input has closed."""
    pids: set[int] = set()
    folders: list[str] = []
    for line in lines:
        verb, _, rest = line.rstrip("\n").partition(" ")
        if verb == "run":
            pids.add(int(rest))
        elif verb == "end":
            pids.discard(int(rest))
        elif verb == "dir":
            folders.append(rest)
    return pids, folders


def end_trees(pids: Iterable[int], grace_s: float) -> None:
    """Stops these processes politely, then kills whatever is left of them and of their descendants."""
    roots = [process for pid in pids if (process := _process(pid))]
    family = [*roots, *descendants(roots)]
    for process in roots:
        _send(process, "terminate")
    psutil.wait_procs(roots, timeout=grace_s)
    for process in {*family, *descendants(family)}:
        _send(process, "kill")


def descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """All children of these processes, and theirs."""
    found: list[psutil.Process] = []
    for process in processes:
        try:
            found.extend(process.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return found


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _send(process: psutil.Process, how: str) -> None:
    try:
        getattr(process, how)()
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main()
