"""How far a host's clock is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from pipeline.clocks import ahead_of_redis_s
from pipeline.domain.errors import StoreUnavailable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class World:
    """A clock, and a Redis whose clock is `off_s` from it; asking takes half of `takes_s` each way."""

    off_s: float = 0.0
    takes_s: float = 0.0
    at: datetime = field(default=NOON)

    def now(self) -> datetime:
        return self.at

    def time(self) -> Sequence[int]:
        self.at += timedelta(seconds=self.takes_s / 2)
        micros = round((self.at.timestamp() + self.off_s) * 1_000_000)
        self.at += timedelta(seconds=self.takes_s / 2)
        return divmod(micros, 1_000_000)

    @property
    def ahead(self) -> float:
        asked: Any = self
        return ahead_of_redis_s(asked, asked)


@pytest.mark.parametrize("off_s", [-60.0, 60.0])
def test_a_clock_that_is_off_is_measured(off_s: float) -> None:
    assert World(off_s=off_s).ahead == pytest.approx(-off_s)


def test_a_slow_network_never_looks_like_a_wrong_clock() -> None:
    """Nobody's beat shall step back because an answer took four seconds."""
    assert World(takes_s=4.0).ahead == 0.0
    assert World(takes_s=4.0, off_s=1.9).ahead == 0.0
    assert World(takes_s=4.0, off_s=10.0).ahead == pytest.approx(-8.0)


def test_without_redis_nobody_knows() -> None:
    class Gone:
        def time(self) -> Sequence[int]:
            raise redis.ConnectionError("refused")

    asked: Any = Gone()
    with pytest.raises(StoreUnavailable):
        ahead_of_redis_s(asked, World())
