"""The time limit of one strategy: its call is interrupted, and whoever asked goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

Answer = TypeVar("Answer")

REPEAT_S = 0.1
"""The alarm comes again while the call goes on: one that is swallowed (`except: pass`) is not the last."""


class Overrun(BaseException):
    """A strategy overran its time limit. No Exception, so that a strategy's own `except Exception` lets it
    through.
    """


@dataclass(slots=True)
class Watch:
    """Whether the call that is being timed has come back."""

    seconds: float
    over: bool = False

    def ring(self, _signal: int, _frame: FrameType | None) -> None:
        if not self.over:
            raise Overrun(f"it was stopped after its time limit of {self.seconds:g} s")


def within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """What `work` returns. Raises: Overrun when it has not come back after `seconds` (0: no limit).

    The alarm is SIGALRM, which Python hands to the main thread between two of its own instructions. Hence in
    any other thread nothing is timed, and a call of compiled code is interrupted when it returns, not before:
    one that never returns is ended with its process, by the stage's hard time limit. SIGUSR1, Celery's soft
    limit, is not touched. A handler and a timer that were set before are set again afterwards.
    """
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        return work()
    watch, began = Watch(seconds), time.monotonic()
    handler = signal.signal(signal.SIGALRM, watch.ring)
    earlier = signal.getitimer(signal.ITIMER_REAL)
    try:
        # Two blocks: an alarm that rings between the call's end and the next line still finds the outer one.
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_S)
            return work()
        finally:
            watch.over = True
    finally:
        watch.over = True
        _restore(handler, earlier, time.monotonic() - began)


def _restore(
    handler: Callable[[int, FrameType | None], object] | int | None,
    earlier: tuple[float, float],
    gone_s: float,
) -> None:
    """Somebody's own timer goes on where it would be now; one that ran out meanwhile rings at once."""
    left, interval = earlier
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
    if left > 0:
        signal.setitimer(signal.ITIMER_REAL, max(left - gone_s, 1e-6), interval)
