"""The parts of one running simulator, and one request as its handlers see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from simulator.account import Account
from simulator.clock import SimClock
from simulator.engine import ALL, Engine
from simulator.errors import UNKNOWN_KEY, ApiError
from simulator.faults import FaultBoard
from simulator.journal import Journal
from simulator.limits import Limits
from simulator.market import Market
from simulator.options import Options
from simulator.params import Params
from simulator.sweeper import Sweeper


@dataclass(frozen=True, slots=True)
class World:
    """Everything a handler may need; built once."""

    options: Options
    clock: SimClock
    market: Market
    engine: Engine
    sweeper: Sweeper
    journal: Journal
    limits: Limits
    faults: FaultBoard


@dataclass(frozen=True, slots=True)
class Ask:
    """One request on its way through: parsed, counted and, where the endpoint needs it, signed for."""

    world: World
    params: Params
    now_ms: int
    caller: Account | None = None
    fraction: Decimal = ALL

    @property
    def account(self) -> Account:
        """Raises: ApiError -2015 when nobody signed."""
        if self.caller is None:
            raise ApiError(UNKNOWN_KEY)
        return self.caller


Handler = Callable[[Ask], object]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: what answers it, who may call it and what it costs.

    `checks_time` is off for the endpoints of the other host (api.binance.com): ccxt calls them before it has
    asked this exchange for its time, which may be far from real time.
    """

    handler: Handler
    weight: Callable[[Params], int]
    signed: bool = False
    places_order: bool = False
    checks_time: bool = True
