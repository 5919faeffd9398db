"""How much longer everything took because the machine had other work: what a run may not be blamed for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROCESSES = Path("/proc")


@dataclass
class Contention:
    """Adds up, over this process's descendants, the time on a processor and the time of waiting for one."""

    _seen: dict[int, tuple[int, int]] = field(default_factory=dict)

    def look(self) -> None:
        """Remember how they stand now: who dies later counts as it was seen last."""
        for child in psutil.Process().children(recursive=True):
            with suppress(OSError, ValueError):
                worked, waited, _ = (PROCESSES / str(child.pid) / "schedstat").read_text().split()
                self._seen[child.pid] = int(worked), int(waited)

    @property
    def factor(self) -> float:
        """1 on a machine that is all ours, 3 when two thirds of the time went into waiting for a processor; 1 where
        the kernel does not tell.
        """
        worked, waited = map(sum, zip(*self._seen.values(), strict=True)) if self._seen else (0, 0)
        return 1 + waited / worked if worked else 1.0
