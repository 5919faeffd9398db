"""Entries that come one right after the other, as at a candle's close: what they fill is booked and protected behind
them.

The fill's trades, a stop and a target cost more time than two entries. If each entry brought its own at once, the last
of many would be ordered at three times the time, at a price that is no longer the one it was decided at. So the entries
go first, and the rest of each follows as soon as no other entry does, and never later than a bound. An entry that comes
alone has its rest at once.

This process does it itself, in a thread: a message could be lost, and needs Redis. Whoever is killed meanwhile leaves
it to the next cycle of protection, as with any other fill.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field

FOLLOWS_WITHIN_S = 0.05
"""An entry that begins so soon after another one has followed it: somebody waits in line."""

OVER_AFTER_S = 0.02
"""So long without another entry, and the burst is over."""

STUCK_AFTER_S = 0.1
"""Whoever works on one entry for so long waits for an exchange that does not answer; another thread goes on."""

THREADS = 2
"""One of them may be stuck. When both are, the next cycle of protection has the rest."""

ENDS_WITHIN_S = 10.0
"""How long a process that ends waits for what its threads are about."""


Rest = Callable[[], None]
"""What is left of an entry. It raises nothing, and may be called in any thread."""


@dataclass(frozen=True, slots=True)
class Owed:
    """The rest of an entry on `symbol`, since when it waits, and what its log lines carry: nothing of another's."""

    symbol: str
    rest: Rest
    since: float
    context: Context = field(default_factory=copy_context)


class Burst:
    """The entries of one process, one at a time, and what is left of them.

    `within_s` is the bound; with 0 nothing waits. Threads of one process hinder each other more than they help: none
    begins while another works, unless that one is stuck.
    """

    def __init__(self, within_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._within_s, self._now = within_s, monotonic
        self._owed: deque[Owed] = deque()
        self._changed = threading.Condition()
        self._at_work: dict[int, float] = {}  # by thread, since when it works on one entry
        self.is_wanted = False  # by an entry, which waits until nobody else works
        self._ended_at = float("-inf")
        self._threads: list[threading.Thread] = []

    @property
    def owes(self) -> Sequence[str]:
        """The symbols whose entry's rest waits, the longest one first."""
        with self._changed:
            return [each.symbol for each in self._owed]

    @contextmanager
    def entry(self) -> Iterator[bool]:
        """While an entry is placed: whether its rest is to be left behind those that follow. What has waited too long
        comes before it.
        """
        follows = self._within_s > 0 and self._now() - self._ended_at < FOLLOWS_WITHIN_S
        self._await_turn()
        try:
            yield follows
        finally:
            self._ended_at = self._now()
            self._end()

    @property
    def goes_on(self) -> bool:
        """Whether an entry has just been placed, or something is owed here and somebody comes to it; never when nothing
        waits.
        """
        if not self._within_s:
            return False
        return not self._is_over() or (bool(self._owed) and not self._is_stuck())

    def leave(self, symbol: str, rest: Rest) -> None:
        """The rest of an entry that was placed just now: it comes behind the entries that follow."""
        with self._changed:
            self._owed.append(Owed(symbol, rest, self._now()))
        self._wake()

    def take_over(self, symbol: str, rest: Rest) -> None:
        """What another process has left of its entry, unless the symbol's is owed here anyway: it is late by now."""
        with self._changed:
            if symbol in self.owes:
                return
            self._owed.appendleft(Owed(symbol, rest, self._now() - self._within_s, Context()))
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
        if not self._threads:
            self._threads = [self._started() for _ in range(THREADS)]

    def finish(self) -> None:
        """Do all that is owed: this process ends."""
        self._within_s = 0.0
        while self._do_next():
            pass
        with self._changed:
            self._changed.wait_for(lambda: not self._at_work, ENDS_WITHIN_S)

    # ------------------------------------------------------------------------------------------- taking turns

    def _await_turn(self) -> None:
        """Of the entry that comes now: no thread begins another piece of work before it."""
        self.is_wanted = True
        try:
            for _ in range(self._due_before_entry()):
                self._do_next()
            with self._changed:
                self._wait_for_others()
                self._begin()
        finally:
            self.is_wanted = False

    def _due_before_entry(self) -> int:
        """How many come before the next entry: one more for each bound by which they are late. So the last entries of a
        burst do not wait for all of them, and in one that never ends they catch up. With no bound all of them.
        """
        within_s, late_s = self._within_s, self._late_s()  # a process that ends sets the bound to 0 meanwhile
        if late_s < 0:
            return 0
        return 1 + int(late_s / within_s) if within_s else len(self._owed)

    def _wait_for_others(self) -> None:
        """Until nobody else works here, but for those who are stuck."""
        while (wait_s := self._others_need_s()) > 0:
            self._changed.wait(wait_s)

    def _others_need_s(self) -> float:
        """How long until whoever works here counts as stuck; at most 0 when nobody works."""
        now = self._now()
        return max((since + STUCK_AFTER_S - now for since in self._at_work.values()), default=0.0)

    def _begin(self) -> None:
        self._at_work[threading.get_ident()] = self._now()

    def _end(self) -> None:
        with self._changed:
            self._at_work.pop(threading.get_ident(), None)
            self._changed.notify_all()

    # --------------------------------------------------------------------------------------------- the threads

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="burst", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._owed)
                owed = self._taken() if self._is_due() else None
            if owed is None:
                # To wait for a change would be to wake at each entry of the burst.
                time.sleep(OVER_AFTER_S / 2)
            else:
                self._do(owed)

    def _is_due(self) -> bool:
        """Whether what has waited longest is to be done now, in a thread that has nothing else to do."""
        if self.is_wanted or self._others_need_s() > 0:
            return False
        return self._is_over() or self._late_s() >= 0

    def _is_stuck(self) -> bool:
        """Whether each thread waits for an exchange that does not answer."""
        now = self._now()
        with self._changed:
            return sum(now - since > STUCK_AFTER_S for since in self._at_work.values()) >= THREADS

    def _is_over(self) -> bool:
        return self._now() - self._ended_at >= OVER_AFTER_S

    def _late_s(self) -> float:
        """By how much what has waited longest is beyond the bound; below zero while there is time."""
        try:
            return self._now() - self._owed[0].since - self._within_s
        except IndexError:  # nothing is owed; another thread may have taken it just now
            return float("-inf")

    def _do_next(self) -> bool:
        """Do what has waited longest. Whether anything was owed."""
        with self._changed:
            self._wait_for_others()
            owed = self._taken()
        if owed is None:
            return False
        self._do(owed)
        return True

    def _taken(self) -> Owed | None:
        """By this thread, which is at work now."""
        if not self._owed:
            return None
        self._begin()
        return self._owed.popleft()

    def _do(self, owed: Owed) -> None:
        try:
            owed.context.run(owed.rest)
        finally:
            self._end()
