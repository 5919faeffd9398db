"""Debugging one area of running processes, switched on and off without a restart.

A small file under the home says which areas are on and until when; each process looks at it once a second. It works
while Redis and the ledger are away, and for this host alone: with several, switch it on where you want it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from config.home import write_private
from pipeline.domain.events import Area
from pipeline.domain.timeframes import from_iso, iso

FILE = "debug.json"
LOOK_EVERY_S = 1.0

Until = Mapping[Area, datetime]


class Debugging:
    """Which areas are on in this process. `path` None: none ever is."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._look_at = 0.0
        self._stamp = 0
        self._until: Until = {}
        self._on: frozenset[Area] = frozenset()

    def wants(self, area: Area) -> bool:
        """Whether what this area says for debugging is to be written. Never raises."""
        if time.monotonic() >= self._look_at:
            self._look()
        return area in self._on

    def _look(self) -> None:
        self._look_at = time.monotonic() + LOOK_EVERY_S
        if self._path is None:
            return
        try:
            stamp = self._path.stat().st_mtime_ns
        except OSError:
            stamp = 0
        if stamp != self._stamp:
            self._stamp, self._until = stamp, read(self._path)
        if self._until or self._on:
            now = datetime.now(UTC)
            self._on = frozenset(area for area, until in self._until.items() if until > now)


def path_in(home: Path) -> Path:
    """Where the areas of a home stand."""
    return home.absolute() / "run" / FILE


def read(path: Path) -> dict[Area, datetime]:
    """The areas and until when they are on; what is not there, or not ours, is off."""
    try:
        told = orjson.loads(path.read_bytes())
        return {Area(name): from_iso(text) for name, text in told.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def switch(path: Path, areas: Until) -> None:
    """From now on these are on, until their times, and no others. Raises: OSError."""
    write_private(path, orjson.dumps({area.value: iso(until) for area, until in areas.items()}))
