"""Asking the exchange without waiting for it: what takes longer goes on in the background, and lands in the store.

A worker has few children, and a request may hang for seconds. Whoever asks waits for a moment only; then the stage is
tried again, half a second later at first, by whichever child is free, and finds the bars in the store, or what went
wrong.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.market.notes import failure_in
from pipeline.market.source import Job, NotYet
from pipeline.market.wishes import Found

AT_ONCE = 8


class Noticeboard(Protocol):
    """`notes.Notes` is the real one."""

    def take(self, key: str) -> tuple[str, str]: ...

    def give_back(self, key: str, mine: str, failure: str = "") -> None: ...


@dataclass(slots=True)
class Errand:
    """One question to the exchange, on its way. `nobody_waits`: what comes of it is to be left as a note."""

    key: str
    job: Job
    mine: str
    done: threading.Event = field(default_factory=threading.Event)
    result: Found | None = None
    error: Exception | None = None
    nobody_waits: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, board: Noticeboard) -> None:
        try:
            self.result = self.job()
        except Exception as error:  # noqa: BLE001 - it is raised again where somebody waits, and noted where nobody does
            self.error = error
        with self.lock:
            self.done.set()
            failure = self._failure() if self.nobody_waits else ""
        board.give_back(self.key, self.mine, failure)

    def _failure(self) -> str:
        if self.error is not None:
            return repr(self.error)
        return "; ".join(self.result.complaints) if self.result is not None else ""

    def outcome(self) -> Found | NotYet:
        """What came of it, or that nothing has yet; from then on nobody waits."""
        with self.lock:
            if not self.done.is_set():
                self.nobody_waits = True
                return NotYet("the exchange was asked and has not answered yet")
        if self.error is not None:
            raise self.error
        return self.result or NotYet("nothing came of it", given_up=True)


class Errands:
    """Fulfils the source's `Asker`. Several questions go side by side; `at_once` of them in one process."""

    def __init__(self, board: Noticeboard, patience_s: float, at_once: int = AT_ONCE) -> None:
        self._board = board
        self._patience_s = patience_s
        self._free = threading.BoundedSemaphore(at_once)

    def run(self, jobs: Mapping[str, Job]) -> Mapping[str, Found | NotYet]:
        """Each job's result, or that it is still being asked, by us or by others. Raises: what a job raised."""
        until = time.monotonic() + self._patience_s
        begun = {key: self._begin(key, job) for key, job in jobs.items()}
        for errand in begun.values():
            if isinstance(errand, Errand):
                errand.done.wait(max(0.0, until - time.monotonic()))
        return {key: each.outcome() if isinstance(each, Errand) else each for key, each in begun.items()}

    def _begin(self, key: str, job: Job) -> Errand | NotYet:
        if not self._free.acquire(blocking=False):
            return NotYet("the other questions of this process have no answer yet")
        mine, theirs = self._board.take(key)
        if not mine:
            self._free.release()
            failure = failure_in(theirs)
            return NotYet(
                failure or "another process has asked and has no answer yet", given_up=bool(failure)
            )
        errand = Errand(key, job, mine)
        threading.Thread(target=self._go, args=(errand,), name=f"asking for {key}", daemon=True).start()
        return errand

    def _go(self, errand: Errand) -> None:
        try:
            errand.run(self._board)
        finally:
            self._free.release()
