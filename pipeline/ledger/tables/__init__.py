"""The tables. Their keys and constraints carry the guarantees; `docs/ledger.md` says them in words."""

from __future__ import annotations

from pipeline.ledger.tables.books import balances, entries
from pipeline.ledger.tables.building import metadata
from pipeline.ledger.tables.chain import (
    IS_OPEN,
    assessments,
    decisions,
    deliveries,
    pruned,
    sessions,
    stages,
    strategy_verdicts,
)
from pipeline.ledger.tables.safety import (
    breakers,
    equity_marks,
    heartbeats,
    kill_switches,
    latches,
    reconciliations,
    switch_events,
    trading_states,
    universes,
)
from pipeline.ledger.tables.trade import (
    IS_IN_TROUBLE,
    IS_ISSUED,
    IS_UNSETTLED,
    IS_WAITING,
    TAKES_RISK,
    UNSETTLED,
    WAS_LOST,
    budgets,
    equity,
    fills,
    order_steps,
    orders,
    permits,
    positions,
)
from pipeline.ledger.tables.watching import alerts, levels

__all__ = [
    "IS_IN_TROUBLE",
    "IS_ISSUED",
    "IS_OPEN",
    "IS_UNSETTLED",
    "IS_WAITING",
    "TAKES_RISK",
    "UNSETTLED",
    "WAS_LOST",
    "alerts",
    "assessments",
    "balances",
    "breakers",
    "budgets",
    "decisions",
    "deliveries",
    "entries",
    "equity",
    "equity_marks",
    "fills",
    "heartbeats",
    "kill_switches",
    "latches",
    "levels",
    "metadata",
    "order_steps",
    "orders",
    "permits",
    "positions",
    "pruned",
    "reconciliations",
    "sessions",
    "stages",
    "strategy_verdicts",
    "switch_events",
    "trading_states",
    "universes",
]
