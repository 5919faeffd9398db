"""What the transport asks of a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pipeline.exchange.budget.costs import PUBLIC, Cost, Kind
from pipeline.exchange.budget.rules import NO_LIMIT, RateLimits

UNASKED = "the rate budget cannot be asked"
"""Why a request is held back while Redis is away."""


class Held(Exception):
    """The request did not leave: `why`, and after how many seconds it is worth trying again."""

    def __init__(self, why: str, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"held back for {wait_s:.1f} s: {why}")


@dataclass(frozen=True, slots=True)
class Told:
    """What the exchange's headers say was used; None where they say nothing."""

    weight_1m: int | None = None
    orders_10s: int | None = None
    orders_1m: int | None = None

    @property
    def anything(self) -> bool:
        return not (self.weight_1m is None and self.orders_10s is None and self.orders_1m is None)


@dataclass(frozen=True, slots=True)
class Used:
    """What our own count says was used, the request just granted included."""

    weight_1m: int = 0
    orders_10s: int = 0
    orders_1m: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """The exchange told us to wait. `banned`: it refuses everything (418). `orders_only`: too many orders."""

    wait_s: float
    why: str
    banned: bool = False
    orders_only: bool = False


class Budget(Protocol):
    """What may leave now. Nothing here waits; a caller who is held back decides what to do meanwhile."""

    def take(self, cost: Cost) -> Used:
        """Count a request that is about to leave. Raises: Held; it must not leave then, and counts for nothing."""

    def correct(self, told: Told, used: Used) -> None:
        """The exchange counted this; `used` is what we counted when the request left."""

    def stop(self, stop: Stop) -> None:
        """Nobody sends anything until then (or no orders, if it is about those)."""

    def room(self, kind: Kind) -> int:
        """How much weight requests of this kind may use now; 0 when none may leave. Counts nothing."""

    def learn(self, limits: RateLimits) -> None:
        """The exchange publishes these limits; the smaller ones hold from now on."""


class Unlimited:
    """No budget: for tests, and for tools that ask an exchange a question or two."""

    def take(self, cost: Cost) -> Used:
        return Used()

    def correct(self, told: Told, used: Used) -> None:
        """Nobody counts."""

    def stop(self, stop: Stop) -> None:
        """Nobody remembers."""

    def room(self, kind: Kind) -> int:
        return NO_LIMIT

    def learn(self, limits: RateLimits) -> None:
        """There are none."""


class PublicOnly(Unlimited):
    """No budget, for a command that a person runs before anything else does: it asks what everybody may ask.

    Nothing that concerns an account leaves.
    """

    def take(self, cost: Cost) -> Used:
        if cost.kind not in PUBLIC:
            raise Held(
                f"without the rate budget nothing but public data is asked for, and this is {cost.kind}", 0
            )
        return Used()
