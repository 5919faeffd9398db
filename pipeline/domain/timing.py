"""Where the time of a stage goes: its parts are timed as they come by, without anybody passing a clock around."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Parts = dict[str, float]
"""Milliseconds by part."""

_parts: ContextVar[Parts | None] = ContextVar("parts", default=None)


@contextmanager
def collected() -> Iterator[Parts]:
    """What is timed inside the block in this thread or coroutine, added up by part."""
    parts: Parts = {}
    token = _parts.set(parts)
    try:
        yield parts
    finally:
        _parts.reset(token)


def so_far() -> Parts:
    """What was collected up to now, rounded to microseconds; nothing where nobody collects."""
    return {part: round(ms, 3) for part, ms in (_parts.get() or {}).items()}


class timed:  # noqa: N801 - used as a statement: `with timed("exchange")`
    """Adds the time of its block to a part. Costs next to nothing; nothing at all where nobody collects."""

    __slots__ = ("_began", "_part")

    def __init__(self, part: str) -> None:
        self._part = part

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        add(self._part, (time.perf_counter() - self._began) * 1000)


def add(part: str, ms: float) -> None:
    """So much time for a part that was timed otherwise."""
    parts = _parts.get()
    if parts is not None:
        parts[part] = parts.get(part, 0.0) + ms


def slowest(parts: Parts, total_ms: float) -> str:
    """The part that took longest; `own work` when that was what no part accounts for."""
    rest = total_ms - sum(parts.values())
    part, ms = max(parts.items(), key=lambda each: each[1], default=("", 0.0))
    return part if ms >= rest else "own work"
