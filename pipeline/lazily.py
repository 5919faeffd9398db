"""What is built, or asked for, only when it is needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from pipeline.domain.decisions import Stage
from pipeline.stages.running import StageFunction

Answer = TypeVar("Answer")


class LazyStages(dict[Stage, StageFunction]):
    """The stage functions, each built at its first use: a worker that only fetches needs no permit key."""

    def __init__(self, builders: dict[Stage, Callable[[], StageFunction]]) -> None:
        super().__init__()
        self._builders = builders

    def __missing__(self, stage: Stage) -> StageFunction:
        self[stage] = self._builders[stage]()
        return self[stage]


class Remembered(Generic[Answer]):
    """An answer that is asked for again when it is older than `max_age_s`."""

    def __init__(self, ask: Callable[[], Answer], max_age_s: float) -> None:
        self._ask, self._max_age_s = ask, max_age_s
        self._answers: list[Answer] = []
        self._asked_at = 0.0

    def get(self) -> Answer:
        """Raises: whatever asking raises."""
        if not self._answers or time.monotonic() - self._asked_at > self._max_age_s:
            self._answers, self._asked_at = [self._ask()], time.monotonic()
        return self._answers[0]
