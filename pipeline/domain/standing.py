"""How an account stands: what the ledger knows of it and the governor asks about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.guards import Activity, Latch, Marks, Reconciliation
from pipeline.domain.orders import Order
from pipeline.domain.permits import Permit
from pipeline.domain.positions import Equity, Position
from pipeline.domain.switches import KillSwitch, TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """How far back each question goes: the earliest instants that count.

    `orders`: of one symbol. `latch`: rejects, repeats and losses, unless somebody re-armed the latch later.
    `losses`: on the symbol. `beats`: of other processes.
    """

    orders: datetime
    latch: datetime
    losses: datetime
    beats: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account at one instant. `positions` are open, `unsettled` orders not final, `reserving` permits
    not used yet, all of them over all symbols, but for the orders of other symbols that only reduce;
    `recent` orders and `activity` are also about one symbol.
    """

    equity: Equity | None
    positions: Sequence[Position]
    unsettled: Sequence[Order]
    reserving: Sequence[Permit]
    recent: Sequence[Order]
    kill_switches: Sequence[KillSwitch]
    trading_state: TradingState
    latches: Sequence[Latch]
    marks: Marks | None
    reconciliation: Reconciliation | None
    config_hashes: frozenset[str]
    activity: Activity
