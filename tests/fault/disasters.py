"""Accidents to whole processes: the parent of workers, and Redis. Each strikes every so often, so many times."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.fault.rehearsal import REDIS_MISSED_S, Rehearsal


@dataclass
class Parents:
    """Ends the parent process of the workers that execute, in the middle of whatever they do; another takes over.

    `KILL` ends its children with it, which Celery asks Linux for; `TERM` lets it finish. With `spare` the other one is
    there before, so that somebody executes all the while.
    """

    on: Rehearsal
    wanted: Counter[str]
    dice: random.Random
    children: int = 2
    spare: bool = False
    every_s: tuple[float, float] = (2.0, 6.0)
    injected: Counter[str] = field(default_factory=Counter)
    _next_at: float = field(default_factory=time.monotonic)

    def step(self) -> None:
        if time.monotonic() < self._next_at or self.is_over:
            return
        word = self.dice.choice(list((+self.wanted).keys()))
        self.wanted[word] -= 1
        self.injected[f"{word} of a worker's parent"] += 1
        self._replace(signal.Signals[f"SIG{word}"])
        self._next_at = time.monotonic() + self.dice.uniform(*self.every_s)

    def _replace(self, number: signal.Signals) -> None:
        old = f"orders{self.on.generation}"
        if self.spare:
            self.on.start_orders(self.children)
            self._end(old, number)
        else:
            with self.on.outage("all workers", 0.0):
                self._end(old, number)
                self.on.start_orders(self.children)

    def _end(self, old: str, number: signal.Signals) -> None:
        ended = self.on.chain.processes.pop(old)
        if number is signal.SIGKILL:
            ended.kill()
        else:
            ended.stop()

    @property
    def is_over(self) -> bool:
        return not any(self.wanted.values())


@dataclass
class Outages:
    """Kills Redis and starts it again over its data, or empties it, while messages are under way."""

    on: Rehearsal
    wanted: Counter[str]
    dice: random.Random
    every_s: tuple[float, float] = (1.5, 4.0)
    longest_s: float = 1.5
    injected: Counter[str] = field(default_factory=Counter)
    _next_at: float = field(default_factory=time.monotonic)

    def step(self) -> None:
        if time.monotonic() < self._next_at or self.is_over:
            return
        word = self.dice.choice(list(self.wanted.elements()))
        self.wanted[word] -= 1
        self.injected[f"Redis {word}"] += 1
        if word == "killed":
            with self.on.outage("Redis", REDIS_MISSED_S):
                self.on.chain.redis.kill()
                time.sleep(self.dice.uniform(0.0, self.longest_s))
                self.on.chain.redis.start()
        else:
            self.on.chain.redis.flush()
        self._next_at = time.monotonic() + self.dice.uniform(*self.every_s)

    @property
    def is_over(self) -> bool:
        return not any(self.wanted.values())
