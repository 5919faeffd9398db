"""Permits, orders, fills, positions and equity."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from pipeline.domain.decisions import Mode
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.orders import FINAL, OrderState
from pipeline.domain.permits import PermitState
from pipeline.domain.signals import Side
from pipeline.ledger.columns import (
    Exact,
    FreeText,
    UtcDateTime,
    Word,
    id_type,
    json_column_type,
)
from pipeline.ledger.tables.building import (
    column,
    decision_key,
    index,
    listed,
    metadata,
    not_negative,
    positive,
    within,
)

UNSETTLED = tuple(state for state in OrderState if state not in FINAL)
IS_UNSETTLED = f"state IN ({listed(UNSETTLED)})"
IS_ISSUED = f"state = '{PermitState.ISSUED.value}'"
IS_IN_TROUBLE = f"state IN ({listed((OrderState.REJECTED, OrderState.UNKNOWN, OrderState.NOT_PLACED))})"
IS_WAITING = (
    f"state = '{OrderState.ACKED.value}' AND type IN ({listed(each for each in OrderType if each.waits)})"
)
TAKES_RISK = f"leg NOT IN ({listed(leg for leg in Leg if leg.guards)})"
WAS_LOST = "lost"
"""They stand in the text of queries too: PostgreSQL and SQLite use a partial index for no other."""

permits = Table(
    "permits",
    metadata,
    column("permit_id", id_type(), primary_key=True),
    decision_key(),
    column("leg", Word(Leg)),
    column("account", String()),
    column("mode", Word(Mode)),
    column("symbol", String()),
    column("side", Word(Side)),
    column("type", Word(OrderType)),
    column("tif", Word(TimeInForce)),
    column("qty", Exact()),
    column("limit_price", Exact()),
    column("reduce_only", Boolean()),
    column("terms_hash", String()),
    column("reserved", Exact()),
    column("limits", json_column_type()),
    column("issued_at", UtcDateTime()),
    column("expires_at", UtcDateTime()),
    column("signature", String()),
    column("state", Word(PermitState)),
    Column("used_at", UtcDateTime()),
    UniqueConstraint("decision_id", "leg"),
    within("leg", Leg),
    within("mode", Mode),
    within("state", PermitState),
    positive("qty"),
    not_negative("limit_price"),
    not_negative("reserved"),
    CheckConstraint("(used_at IS NOT NULL) = (state = 'used')", name="used_at_when_used"),
    index("permits_reserving", "account", "expires_at", where=IS_ISSUED),
)

budgets = Table("budgets", metadata, column("account", String(), primary_key=True))

orders = Table(
    "orders",
    metadata,
    column("client_order_id", id_type(), primary_key=True),
    decision_key(),
    column("leg", Word(Leg)),
    column("attempt", Integer()),
    column("account", String()),
    column("mode", Word(Mode)),
    column("permit_id", id_type(), ForeignKey("permits.permit_id")),
    column("symbol", String()),
    column("side", Word(Side)),
    column("type", Word(OrderType)),
    column("tif", Word(TimeInForce)),
    column("qty", Exact()),
    column("limit_price", Exact()),
    column("reduce_only", Boolean()),
    column("decision_price", Exact()),
    column("state", Word(OrderState)),
    column("fence", String()),
    column("created_at", UtcDateTime()),
    Column("sent_at", UtcDateTime()),
    Column("resolved_at", UtcDateTime()),
    column("exchange_order_id", String()),
    column("filled_qty", Exact()),
    Column("avg_price", Exact()),
    column("fee", Exact()),
    column("fee_asset", String()),
    column("misses", Integer()),
    Column("first_miss_at", UtcDateTime()),
    Column("last_miss_at", UtcDateTime()),
    column("detail", FreeText()),
    UniqueConstraint("decision_id", "leg", "attempt"),
    within("leg", Leg),
    within("mode", Mode),
    within("state", OrderState),
    positive("qty"),
    not_negative("limit_price"),
    not_negative("filled_qty"),
    CheckConstraint("attempt >= 1", name="attempt_counts_from_1"),
    CheckConstraint("misses >= 0", name="misses_not_negative"),
    CheckConstraint("state IN ('INTENT', 'ABANDONED') OR sent_at IS NOT NULL", name="sent_at_when_sent"),
    index("orders_unsettled", "account", "symbol", where=IS_UNSETTLED),
    index("orders_recent", "account", "symbol", "created_at"),
    index("orders_by_time", "created_at"),
    index("orders_taking_risk", "account", "created_at", "leg", where=TAKES_RISK),
    index("orders_in_trouble", "account", "created_at", "state", where=IS_IN_TROUBLE),
    index("orders_by_exchange_id", "exchange_order_id"),
)

order_steps = Table(
    "order_steps",
    metadata,
    Column("step_id", Integer(), primary_key=True),
    column("client_order_id", id_type(), ForeignKey("orders.client_order_id")),
    column("from_state", Word(OrderState)),
    column("to_state", Word(OrderState)),
    column("at", UtcDateTime()),
    column("fence", String()),
    column("detail", FreeText()),
    index("order_steps_by_order", "client_order_id"),
)

fills = Table(
    "fills",
    metadata,
    column("exchange", String(), primary_key=True),
    column("symbol", String(), primary_key=True),
    column("trade_id", String(), primary_key=True),
    column("client_order_id", id_type(), ForeignKey("orders.client_order_id")),
    decision_key(),
    column("account", String()),
    column("mode", Word(Mode)),
    column("side", Word(Side)),
    column("qty", Exact()),
    column("price", Exact()),
    column("fee", Exact()),
    column("fee_asset", String()),
    column("slippage_bps", Exact()),
    column("occurred_at", UtcDateTime()),
    column("recorded_at", UtcDateTime()),
    within("mode", Mode),
    positive("qty"),
    positive("price"),
    index("fills_by_order", "client_order_id"),
    index("fills_by_decision", "decision_id"),
)

positions = Table(
    "positions",
    metadata,
    column("position_id", id_type(), primary_key=True),
    column("account", String()),
    column("mode", Word(Mode)),
    column("symbol", String()),
    column("side", Word(Side)),
    column("qty", Exact()),
    column("entry_price", Exact()),
    column("realised_pnl", Exact()),
    column("fees", Exact()),
    column("opened_by", id_type(), ForeignKey("decisions.decision_id")),
    column("opened_at", UtcDateTime()),
    Column("closed_by", id_type(), ForeignKey("decisions.decision_id")),
    Column("closed_at", UtcDateTime()),
    Column("lost", Boolean()),
    within("mode", Mode),
    CheckConstraint("(CAST(qty AS NUMERIC) > 0) = (closed_at IS NULL)", name="qty_while_open"),
    index("one_open_position", "account", "symbol", unique=True, where="closed_at IS NULL"),
    index("positions_by_time", "opened_at"),
    index("positions_closed", "account", "closed_at"),
    index("positions_lost", "account", "closed_at", "symbol", "lost", where=WAS_LOST),
    index("positions_by_opener", "opened_by"),
    index("positions_by_closer", "closed_by"),
)

equity = Table(
    "equity",
    metadata,
    column("account", String(), primary_key=True),
    column("occurred_at", UtcDateTime(), primary_key=True),
    column("mode", Word(Mode)),
    column("equity", Exact()),
    column("available", Exact()),
    column("unrealised_pnl", Exact()),
    column("recorded_at", UtcDateTime()),
    within("mode", Mode),
)
