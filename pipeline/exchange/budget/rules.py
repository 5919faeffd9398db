"""Who may use how much of the limits: one readable table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from pipeline.exchange.budget.costs import Kind

NO_LIMIT = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What the exchange allows: weight a minute for our address, orders in ten seconds and a minute for the account."""

    weight_1m: int = 2400
    orders_10s: int = 300
    orders_1m: int = 1200

    def lowered_to(self, told: RateLimits) -> RateLimits:
        """The smaller of each: what the exchange tells may lower what is configured, never raise it."""
        return replace(
            self,
            weight_1m=min(self.weight_1m, told.weight_1m),
            orders_10s=min(self.orders_10s, told.orders_10s),
            orders_1m=min(self.orders_1m, told.orders_1m),
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A request of this kind may leave while not more than this share of the limit is used, itself included.

    None: whatever is used. `without_redis`: also while nobody can say how much is used.
    """

    weight_share: Decimal | None
    orders_share: Decimal | None = None
    without_redis: bool = False


RULES: Mapping[Kind, Rule] = {
    # Candles ahead of need wait first; the first load of a large universe leaves half of the minute to the others.
    Kind.LOAD: Rule(Decimal("0.5")),
    Kind.MARKET: Rule(Decimal("0.75")),
    # What a decision or an open order waits for. The last twentieth is for cancels, and for what we counted wrong.
    Kind.PRICE: Rule(Decimal("0.95")),
    Kind.ACCOUNT: Rule(Decimal("0.95")),
    # What became of one order, and its trades: what it has filled gets its stop only when somebody knows. One such
    # question follows each order, and without Redis no order leaves.
    Kind.FATE: Rule(Decimal("0.95"), without_redis=True),
    # Orders weigh nothing against the address: no amount of market data holds them back. A tenth is for exits.
    Kind.ORDER: Rule(None, Decimal("0.9")),
    Kind.REDUCE: Rule(None, Decimal(1), without_redis=True),
    Kind.CANCEL: Rule(None, None, without_redis=True),
}


def ceiling(share: Decimal | None, limit: int) -> int:
    """How much may be used, as a whole number; -1 when anything may."""
    return -1 if share is None else int(share * limit)
