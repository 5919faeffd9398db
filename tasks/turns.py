"""Whose turn it is among the queues that a worker reads: each in turn, but a stage comes before the one that follows it
in the same worker.

Many decisions are due at once, at a candle's close. What is fetched and judged in a row costs less than in turns with
something else, and orders that follow each other closely let all that comes after them wait without waiting long
(docs/decisions/0029). So behind many judgements in a row an order waits also for the next one that is about to come:
each order that slips in between has its stop and target placed before the last of many is judged. But new decisions may
never end, and a permit lives for seconds only: after a while both stages have equal turns, until nothing waits for the
first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from kombu.utils.scheduling import round_robin_cycle

from pipeline.domain.decisions import Stage

LONGEST_S = 4.0
OF_A_PERMIT = 0.4
"""Of its life an order may wait so much, and never longer than that: what was judged grows old."""

MANY = 12
"""So many judgements in a row make it worth waiting for the next one."""

IN_A_ROW_S = 0.1
"""Two judgements that begin within such a time belong to the same row."""

NEXT_WITHIN_S = 0.015
"""How long the next one of a row is waited for."""

NEVER = float("-inf")


def first_for_s(permit_ttl_s: float) -> float:
    """How long a stage may wait behind the one before it where permits live for so long."""
    return min(LONGEST_S, OF_A_PERMIT * permit_ttl_s)


@dataclass(slots=True)
class Pair:
    """Two stages of one worker. `busy_since`: since when the first one was never found empty."""

    first: str
    then: str
    busy_since: float | None = None

    def ordered(self, queues: Sequence[str], now: float, first_for_s: float) -> list[str]:
        """The queues with `then` behind `first`, unless it has waited for too long."""
        found = list(queues)
        is_long = self.busy_since is not None and now - self.busy_since > first_for_s
        if not is_long and self.then in found and self.first in found[found.index(self.then) :]:
            found.remove(self.then)
            found.insert(found.index(self.first) + 1, self.then)
        return found

    def taken(self, queue: str, empty: Collection[str], now: float) -> None:
        """A message came from `queue`; those of `empty` had been looked into before."""
        if self.first in empty:
            self.busy_since = None
        elif queue == self.first and self.busy_since is None:
            self.busy_since = now


@dataclass(slots=True)
class Row:
    """Messages of one queue that come one right after the other: how many, since when, the last one when."""

    length: int = 0
    began_at: float = NEVER
    last_at: float = NEVER

    def taken(self, now: float) -> None:
        if now - self.last_at > IN_A_ROW_S:
            self.length, self.began_at = 0, now
        self.length, self.last_at = self.length + 1, now

    def goes_on(self, now: float, first_for_s: float) -> bool:
        """Whether the next one is worth waiting for, a moment and not for ever."""
        is_young = now - self.began_at <= first_for_s
        return self.length >= MANY and is_young and now - self.last_at < NEXT_WITHIN_S


class Turns(round_robin_cycle):
    """Fulfils kombu's idea of a cycle: `consume` gives the queues in the order in which Redis is to look into them,
    `rotate` is told in which it found a message. Its channel sets `first_for_s`.
    """

    def __init__(
        self, queues: list[str] | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(queues)  # type: ignore[no-untyped-call]  # no types
        self._monotonic = monotonic
        self.first_for_s = LONGEST_S
        self._asked: list[str] = []
        self._pairs = (Pair(Stage.FETCH, Stage.EVALUATE), Pair(Stage.VALIDATE, Stage.EXECUTE))
        self._judgements = Row()

    @property
    def patience_s(self) -> float | None:
        """How long Redis is to wait for a message this time; None: as long as ever."""
        return NEXT_WITHIN_S if self._holds_orders(self._monotonic()) else None

    def consume(self, n: int) -> list[str]:
        asked, now = self.items[:n], self._monotonic()
        for pair in self._pairs:
            asked = pair.ordered(asked, now, self.first_for_s)
        if self._holds_orders(now):
            asked.remove(Stage.EXECUTE)
        self._asked = asked
        return list(asked)

    def rotate(self, last_used: str) -> str:
        now = self._monotonic()
        if last_used == Stage.VALIDATE:
            self._judgements.taken(now)
        if last_used in self._asked:
            empty = self._asked[: self._asked.index(last_used)]
            for pair in self._pairs:
                pair.taken(last_used, empty, now)
        return str(super().rotate(last_used))  # type: ignore[no-untyped-call]  # no types

    def _holds_orders(self, now: float) -> bool:
        return Stage.EXECUTE in self.items and self._judgements.goes_on(now, self.first_for_s)
