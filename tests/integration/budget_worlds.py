"""A process of ours as the rate budget sees it, and requests of several kinds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import redis

from pipeline.domain.events import EventName
from pipeline.exchange.budget.costs import Cost, Kind
from pipeline.exchange.budget.ports import Held
from pipeline.exchange.budget.rules import RateLimits
from pipeline.exchange.budget.shared import SharedBudget
from pipeline.trace.events import RecordedEvents

CANDLES = Cost(Kind.MARKET, 2)
PRICE = Cost(Kind.PRICE, 2)
ORDER = Cost(Kind.ORDER, 0, orders=1)
EXIT = Cost(Kind.REDUCE, 0, orders=1)
CANCEL = Cost(Kind.CANCEL, 1)
LIMITS = RateLimits(weight_1m=100, orders_10s=10, orders_1m=40)


@dataclass
class Host:
    """One process of ours: its own connection, the common count."""

    budget: SharedBudget
    events: RecordedEvents

    def taken(self, cost: Cost, most: int = 1000) -> int:
        """How many requests of this cost may leave at once."""
        for count in range(most):
            try:
                self.budget.take(cost)
            except Held:
                return count
        return most

    def held(self, cost: Cost) -> Held:
        with pytest.raises(Held) as held:
            self.budget.take(cost)
        return held.value

    def heard(self, name: EventName) -> list[dict[str, object]]:
        return self.events.of(name)


def host(url: str, limits: RateLimits = LIMITS) -> Host:
    events = RecordedEvents()
    client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=10)
    return Host(SharedBudget(client, limits, events, exchange="test", account="main"), events)
