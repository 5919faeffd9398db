"""Traffic with accidents in it: which ones, how many, and when they are over. All dice have a seed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from pipeline.domain.errors import ThroughlineError
from pipeline.execution.crashpoints import CrashPoint
from tests.fault.rehearsal import Rehearsal
from tests.support.waiting import BUSY

PACE_S = 0.25
AT_ONCE = 4
"""Accidents that wait for their victims at the same time: with more, nobody is left to come by."""

ROUGH = (
    {"kind": "http_503_unknown", "probability": 0.15},
    {"kind": "code_1008", "probability": 0.2},
    {"kind": "timeout_before", "probability": 0.08},
    {"kind": "reset_after", "probability": 0.08},
)
"""Faults of orders that lead through every branch of the recipe."""


RARE = {
    CrashPoint.LOST_SENDER_RECORDED,
    CrashPoint.ABSENCE_UNCOMMITTED,
    CrashPoint.ABSENCE_COMMITTED,
    CrashPoint.BEFORE_NEXT_ATTEMPT,
    CrashPoint.SETTLED_UNPUBLISHED,
}
"""Where a process comes by so seldom that its first arrival must do."""

ALONE = frozenset({CrashPoint.BEFORE_SEND, CrashPoint.LOST_SENDER_RECORDED})
"""Never planned at once: both need an accident before a send, and one file says which."""


@dataclass
class Storm:
    """Kills or freezes processes at named points while decisions flow, until each point had its share."""

    on: Rehearsal
    word: str
    wanted: Counter[CrashPoint]
    dice: random.Random
    longest_freeze_s: float = 2.0
    injected: Counter[str] = field(default_factory=Counter)
    _planned: set[CrashPoint] = field(default_factory=set)
    _thaw_at: dict[int, float] = field(default_factory=dict)

    def step(self) -> None:
        """Note who was hit, thaw who was frozen long enough, plan what is next."""
        for point in list(self._planned):
            pid = self.on.hit(point)
            if pid is not None:
                self._note(point, pid)
        self._thaw()
        open_points = [point for point, count in self.wanted.items() if count and point not in self._planned]
        self.dice.shuffle(open_points)
        for point in open_points[: AT_ONCE - len(self._planned)]:
            if point not in ALONE or not ALONE & self._planned:
                self._plan(point)

    @property
    def is_over(self) -> bool:
        return not any(self.wanted.values()) and not self._thaw_at

    def call_off(self) -> None:
        """No more accidents; who is frozen goes on."""
        for point in self._planned:
            self.on.forget(point)
        self._planned.clear()
        self.on.thaw()

    def _plan(self, point: CrashPoint) -> None:
        self.on.forget(point)
        self._planned.add(point)
        self.on.at(point, self.word, 1 if point in RARE else self.dice.randint(1, 2))
        if point is CrashPoint.LOST_SENDER_RECORDED:
            self.on.forget(CrashPoint.BEFORE_SEND)
            self.on.at(CrashPoint.BEFORE_SEND, "KILL")  # nobody else loses a sender for long enough

    def _note(self, point: CrashPoint, pid: int) -> None:
        self.on.forget(point)
        self._planned.discard(point)
        self.wanted[point] -= 1
        self.injected[f"{self.word} at {point}"] += 1
        if self.word == "STOP":
            self._thaw_at[pid] = time.monotonic() + self.dice.uniform(0.1, self.longest_freeze_s)

    def _thaw(self) -> None:
        for pid, at in list(self._thaw_at.items()):
            if time.monotonic() >= at:
                del self._thaw_at[pid]
                with suppress(psutil.Error):
                    psutil.Process(pid).resume()


@dataclass
class Traffic:
    """Passes over all symbols, round after round; each round wants the other side."""

    on: Rehearsal
    enqueued: int = 0
    _rounds: int = 0
    _left: list[str] = field(default_factory=list)

    def flow(self, most: int) -> int:
        """Enqueue up to `most` decisions now; how many it were."""
        for sent in range(most):
            if not self._left:
                self._next_round()
            if self.on.enqueue(self._left.pop()) is None:
                return sent  # Redis or the ledger is away: whoever waits here would not thaw what holds it
            self.enqueued += 1
        return most

    def keep(self, most: int) -> int:
        """Enqueue so that up to `most` decisions and orders are under way; how many it were."""
        with suppress(ThroughlineError):
            return self.flow(most - self.on.unsettled())
        return 0

    def _next_round(self) -> None:
        self.on.wants("sell" if self._rounds % 2 else "buy")
        self._left = list(self.on.symbols)
        self._rounds += 1


def until(
    over: Callable[[], bool],
    steps: Sequence[Callable[[], object]],
    timeout_s: float,
    pace_s: float = PACE_S,
) -> bool:
    """Take all steps again and again until it is over; False when the time of a quiet machine was up `BUSY` times."""
    deadline = time.monotonic() + timeout_s * BUSY
    while not over():
        if time.monotonic() > deadline:
            return False
        for step in steps:
            step()
        time.sleep(pace_s)
    return True


def during(seconds: float, *steps: Callable[[], object]) -> None:
    """Take all steps again and again for so long: an accident lasts."""
    over_at = time.monotonic() + seconds
    until(lambda: time.monotonic() >= over_at, steps, seconds)


def set_faults(on: Rehearsal, *faults: Mapping[str, object]) -> None:
    """Faults of the order endpoint unless they say otherwise."""
    for fault in faults:
        on.chain.fault(**{"endpoint": "/fapi/v1/order", "method": "POST", **fault})  # type: ignore[arg-type]
