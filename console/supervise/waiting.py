"""Waiting for a condition, while Ctrl-C and SIGTERM are listened to."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_LOOK_EVERY_S = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody asked us to stop."""


class Interrupts:
    """How often we were asked to stop: once is a polite wish, twice means hurry.

    A handler only counts: it may run in the middle of anything.
    """

    def __init__(self) -> None:
        self.count = 0

    def note(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self.count += 1

    @property
    def asked(self) -> bool:
        return self.count > 0

    @property
    def hurry(self) -> bool:
        return self.count > 1

    @contextmanager
    def listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Whether the condition became true in time. Raises: Interrupted when we were asked to stop."""
        for _ in self.ticks(timeout_s):
            if ready():
                return True
        if self.asked:
            raise Interrupted
        return ready()

    def ticks(self, seconds: float, every_s: float = _LOOK_EVERY_S) -> Iterator[float]:
        """The seconds gone by, again and again, until they are over or we were asked to stop."""
        start = time.monotonic()
        while not self.asked and (gone := time.monotonic() - start) < seconds:
            yield gone
            time.sleep(min(every_s, max(0.0, seconds - gone)))
