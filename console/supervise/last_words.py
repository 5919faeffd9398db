"""What a program said last, and what it does: for the sentence that says why it is not there."""

from __future__ import annotations

from pathlib import Path

import psutil

LINES = 8
_READ = 16_384


def last_lines(output: Path, count: int = LINES) -> list[str]:
    """The end of a program's output, without reading all of it. Empty when there is none."""
    return lines_from(output, size_of(output) - _READ)[-count:]


def lines_from(output: Path, position: int) -> list[str]:
    """What stands there, as far as it is worth reading. Empty when there is nothing, or no such file."""
    try:
        with output.open("rb") as file:
            file.seek(max(0, position))
            text = file.read(_READ).decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def size_of(output: Path) -> int:
    """In bytes; 0 when there is no such file."""
    try:
        return output.stat().st_size
    except OSError:
        return 0


def at_work(pid: int) -> list[str]:
    """How much of a CPU a process and its children had: who hangs used little, who is slow needed much.

    Empty when there is no such process.
    """
    try:
        process = psutil.Process(pid)
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        took = sum(each.user + each.system for each in times)
        return [f"its process {pid} is {process.status()}; with its children it has used {took:.1f} s of CPU"]
    except psutil.Error:
        return []
