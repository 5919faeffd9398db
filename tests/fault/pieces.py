"""One piece of the long form, in a process of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fault.campaigns import Plan, Tally

SHOWN = 20
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - what is written there is this run's alone
ROOM = 6 * 2**30


@dataclass(frozen=True)
class Progress:
    """Says what happens, as it happens. `since` is a time of the monotonic clock."""

    since: float

    def __call__(self, line: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - self.since:6.0f} s] {line}\n")
        sys.stdout.flush()


def work_in_memory() -> None:
    """Ledgers, Redis and journals in memory where there is room: what is rehearsed are processes, not disks."""
    if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM:
        tempfile.tempdir = str(IN_MEMORY)


def run(piece: Callable[[Plan], Tally], plan: Plan) -> Tally:
    """One piece. What breaks in it is a finding, and does not keep the others from running."""
    began, name = time.monotonic(), name_of(piece)
    plan.say(f"{name}: begins")
    try:
        tally = piece(plan)
    except Exception as error:  # noqa: BLE001 - a pipeline that does not come to rest is what this looks for
        tally = Tally(name, plan.seed, broke=f"{type(error).__name__}: {error}")
    plan.say(f"{name}: {tally.verdict} after {time.monotonic() - began:.0f} s")
    for violation in tally.found[:SHOWN]:
        plan.say(f"  {violation}")
    return tally


def name_of(piece: Callable[[Plan], Tally]) -> str:
    """A piece's function, with what sets it apart."""
    function = getattr(piece, "func", piece)
    return " ".join([function.__name__, *map(str, getattr(piece, "args", ()))])
