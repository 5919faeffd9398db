"""Named places around an order where a rehearsal may kill or freeze this process.

Off unless `arm` was called, and it refuses in every mode but paper; then reaching a point costs one look at
an empty list. A plan is a folder. A file in it, named after a point, says what happens at its n-th arrival in
a process: `KILL 1` or `STOP 3`. Whoever renames the file to `<point>.<pid>` is the one it happens to, once; it
writes down what it did on which symbol.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from enum import StrEnum, unique
from pathlib import Path

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError

VARIABLE = "THROUGHLINE_CRASH_PLAN"
SIGNALS = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}


@unique
class CrashPoint(StrEnum):
    """In the order in which a decision meets them. *Uncommitted* is inside a transaction, just before its
    end or before the next step that it holds: an entry that is claimed where it is written commits both at once.
    """

    PERMIT_UNCOMMITTED = "permit_uncommitted"
    STAGE_COMMITTED = "stage_committed"
    HANDED_ON = "handed_on"
    EXECUTE_BEGAN = "execute_began"
    INTENT_UNCOMMITTED = "intent_uncommitted"
    INTENT_COMMITTED = "intent_committed"
    CLAIM_UNCOMMITTED = "claim_uncommitted"
    CLAIM_COMMITTED = "claim_committed"
    BEFORE_SEND = "before_send"
    ANSWER_RECEIVED = "answer_received"
    BOOKING_UNCOMMITTED = "booking_uncommitted"
    BOOKED = "booked"
    ANSWER_RECORDED = "answer_recorded"
    BEFORE_NEXT_ATTEMPT = "before_next_attempt"
    CONCLUSION_UNCOMMITTED = "conclusion_uncommitted"
    LOST_SENDER_RECORDED = "lost_sender_recorded"
    RESOLVER_ANSWERED = "resolver_answered"
    ABSENCE_UNCOMMITTED = "absence_uncommitted"
    ABSENCE_COMMITTED = "absence_committed"
    SETTLED_UNPUBLISHED = "settled_unpublished"


_armed: list[Path] = []
_arrivals: Counter[CrashPoint] = Counter()


def arm(plan: str, mode: Mode) -> None:
    """Follow the plan in this folder from now on; nothing when it is empty.

    Raises: ConfigError when something is at stake.
    """
    if not plan:
        return
    if mode is not Mode.PAPER:
        raise ConfigError(
            f"it makes processes kill themselves, and the mode is {mode}.",
            where=f"variable {VARIABLE}",
            remedy="Unset it; only mode paper can be rehearsed like that.",
        )
    _armed[:] = [Path(plan)]
    _arrivals.clear()


def reached(point: CrashPoint, symbol: str = "") -> None:
    """Say that this process has come here with an order of `symbol`. It returns, unless a plan says otherwise."""
    if _armed:
        _follow(_armed[0], point, symbol)


def _follow(plan: Path, point: CrashPoint, symbol: str) -> None:
    _arrivals[point] += 1
    order = plan / point
    try:
        word, arrival = order.read_text().split()
        if _arrivals[point] < int(arrival):
            return
        mine = order.rename(plan / f"{point}.{os.getpid()}")
        mine.write_text(f"{word} {symbol}")
    except (OSError, ValueError):  # nothing is planned here, or another process was faster
        return
    os.kill(os.getpid(), SIGNALS[word])
