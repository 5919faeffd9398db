"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from pipeline.ledger.columns import Exact, UtcDateTime, id_type, json_column_type

revision = "0001"
down_revision = None


def upgrade() -> None:
    _decisions()
    _stages()
    _deliveries()
    _strategy_verdicts()
    _check_verdicts()
    _permits()
    _budgets()
    _orders()
    _order_steps()
    _fills()
    _positions()
    _equity()
    _kill_switches()
    _trading_states()
    _switch_events()
    _sessions()


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("decision_id", id_type(), primary_key=True),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("slot", UtcDateTime(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("config_hash", sa.String(), nullable=False),
        sa.Column("universe_version", sa.String(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("enqueued_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("deadline_at", UtcDateTime(), nullable=False),
        sa.Column("outcome", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("ended_at", UtcDateTime()),
        sa.CheckConstraint("origin IN ('beat', 'feed', 'cli', 'python', 'call')", name="origin_known"),
        sa.CheckConstraint("mode IN ('paper', 'testnet', 'live')", name="mode_known"),
        sa.CheckConstraint(
            "outcome IN ('no_signal', 'skipped', 'blocked', 'executed', 'rejected', 'expired', 'failed')",
            name="outcome_known",
        ),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="outcome_when_ended"),
        sa.CheckConstraint("(reason IS NULL) = (ended_at IS NULL)", name="reason_when_ended"),
    )
    op.create_index("decisions_by_outcome", "decisions", ["outcome", "enqueued_at"])
    op.create_index("decisions_by_symbol", "decisions", ["symbol", "enqueued_at"])
    op.create_index("decisions_by_time", "decisions", ["enqueued_at"])
    op.create_index("decisions_open", "decisions", ["enqueued_at"], **_where("ended_at IS NULL"))
    op.create_index(
        "one_open_decision", "decisions", ["account", "symbol"], unique=True, **_where("ended_at IS NULL")
    )


def _stages() -> None:
    op.create_table(
        "stages",
        sa.Column("decision_id", id_type(), sa.ForeignKey("decisions.decision_id"), primary_key=True),
        sa.Column("stage", sa.String(), primary_key=True),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("queue_wait_ms", sa.Float()),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("run_ms", sa.Float(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("output", json_column_type(), nullable=False),
        sa.CheckConstraint("stage IN ('fetch', 'evaluate', 'validate', 'execute')", name="stage_known"),
        sa.CheckConstraint("result IN ('passed', 'ended')", name="result_known"),
        sa.CheckConstraint("attempt >= 1", name="attempt_counts_from_1"),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("decision_id", id_type(), sa.ForeignKey("decisions.decision_id"), primary_key=True),
        sa.Column("stage", sa.String(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("count >= 2", name="more_than_one"),
    )


def _strategy_verdicts() -> None:
    op.create_table(
        "strategy_verdicts",
        sa.Column("decision_id", id_type(), sa.ForeignKey("decisions.decision_id"), primary_key=True),
        sa.Column("strategy", sa.String(), primary_key=True),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("regime", sa.String(), nullable=False),
        sa.Column("signal", json_column_type()),
        sa.Column("miss_condition", sa.String()),
        sa.Column("miss_value", sa.Float()),
        sa.Column("miss_threshold", sa.Float()),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.Column("run_ms", sa.Float(), nullable=False),
        sa.CheckConstraint("kind IN ('signal', 'no_signal', 'failed')", name="kind_known"),
        sa.CheckConstraint("(signal IS NOT NULL) = (kind = 'signal')", name="signal_when_signalled"),
    )


def _check_verdicts() -> None:
    op.create_table(
        "check_verdicts",
        sa.Column("decision_id", id_type(), sa.ForeignKey("decisions.decision_id"), primary_key=True),
        sa.Column("leg", sa.String(), primary_key=True),
        sa.Column("code", sa.String(), primary_key=True),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("limit", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint("leg IN ('entry', 'stop', 'target', 'close')", name="leg_known"),
    )


def _permits() -> None:
    op.create_table(
        "permits",
        sa.Column("permit_id", id_type(), primary_key=True),
        sa.Column("decision_id", id_type(), sa.ForeignKey("decisions.decision_id"), nullable=False),
        sa.Column("leg", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("tif", sa.String(), nullable=False),
        sa.Column("qty", Exact(), nullable=False),
        sa.Column("limit_price", Exact(), nullable=False),
        sa.Column("reduce_only", sa.Boolean(), nullable=False),
        sa.Column("terms_hash", sa.String(), nullable=False),
        sa.Column("reserved", Exact(), nullable=False),
        sa.Column("limits", json_column_type(), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("used_at", UtcDateTime()),
        sa.UniqueConstraint("decision_id", "leg"),
        sa.CheckConstraint("leg IN ('entry', 'stop', 'target', 'close')", name="leg_known"),
        sa.CheckConstraint("mode IN ('paper', 'testnet', 'live')", name="mode_known"),
        sa.CheckConstraint("state IN ('issued', 'used', 'released')", name="state_known"),
        sa.CheckConstraint("CAST(qty AS NUMERIC) > 0", name="qty_positive"),
        sa.CheckConstraint("CAST(limit_price AS NUMERIC) >= 0", name="limit_price_not_negative"),
        sa.CheckConstraint("CAST(reserved AS NUMERIC) >= 0", name="reserved_not_negative"),
        sa.CheckConstraint("(used_at IS NOT NULL) = (state = 'used')", name="used_at_when_used"),
    )
    op.create_index("permits_reserving", "permits", ["account", "expires_at"], **_where("state = 'issued'"))


def _budgets() -> None:
    op.create_table("budgets", sa.Column("account", sa.String(), primary_key=True))


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("client_order_id", id_type(), primary_key=True),
        sa.Column("decision_id", id_type(), sa.ForeignKey("decisions.decision_id"), nullable=False),
        sa.Column("leg", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("permit_id", id_type(), sa.ForeignKey("permits.permit_id"), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("tif", sa.String(), nullable=False),
        sa.Column("qty", Exact(), nullable=False),
        sa.Column("limit_price", Exact(), nullable=False),
        sa.Column("reduce_only", sa.Boolean(), nullable=False),
        sa.Column("decision_price", Exact(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("fence", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime()),
        sa.Column("resolved_at", UtcDateTime()),
        sa.Column("exchange_order_id", sa.String(), nullable=False),
        sa.Column("filled_qty", Exact(), nullable=False),
        sa.Column("avg_price", Exact()),
        sa.Column("fee", Exact(), nullable=False),
        sa.Column("fee_asset", sa.String(), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("first_miss_at", UtcDateTime()),
        sa.Column("last_miss_at", UtcDateTime()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.UniqueConstraint("decision_id", "leg", "attempt"),
        sa.CheckConstraint("leg IN ('entry', 'stop', 'target', 'close')", name="leg_known"),
        sa.CheckConstraint("mode IN ('paper', 'testnet', 'live')", name="mode_known"),
        sa.CheckConstraint(
            "state IN ('INTENT', 'SENDING', 'ACKED', 'PARTIALLY_FILLED', 'FILLED', 'CANCELED', 'EXPIRED', "
            "'REJECTED', 'UNKNOWN', 'NOT_PLACED', 'ABANDONED')",
            name="state_known",
        ),
        sa.CheckConstraint("CAST(qty AS NUMERIC) > 0", name="qty_positive"),
        sa.CheckConstraint("CAST(limit_price AS NUMERIC) >= 0", name="limit_price_not_negative"),
        sa.CheckConstraint("CAST(filled_qty AS NUMERIC) >= 0", name="filled_qty_not_negative"),
        sa.CheckConstraint("attempt >= 1", name="attempt_counts_from_1"),
        sa.CheckConstraint("misses >= 0", name="misses_not_negative"),
        sa.CheckConstraint(
            "state IN ('INTENT', 'ABANDONED') OR sent_at IS NOT NULL", name="sent_at_when_sent"
        ),
    )
    op.create_index("orders_by_exchange_id", "orders", ["exchange_order_id"])
    op.create_index("orders_by_time", "orders", ["created_at"])
    op.create_index("orders_recent", "orders", ["account", "symbol", "created_at"])
    op.create_index(
        "orders_unsettled",
        "orders",
        ["account", "symbol"],
        **_where("state IN ('INTENT', 'SENDING', 'ACKED', 'PARTIALLY_FILLED', 'UNKNOWN')"),
    )


def _order_steps() -> None:
    op.create_table(
        "order_steps",
        sa.Column("step_id", sa.Integer(), primary_key=True),
        sa.Column("client_order_id", id_type(), sa.ForeignKey("orders.client_order_id"), nullable=False),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("fence", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_index("order_steps_by_order", "order_steps", ["client_order_id"])


def _fills() -> None:
    op.create_table(
        "fills",
        sa.Column("exchange", sa.String(), primary_key=True),
        sa.Column("symbol", sa.String(), primary_key=True),
        sa.Column("trade_id", sa.String(), primary_key=True),
        sa.Column("client_order_id", id_type(), sa.ForeignKey("orders.client_order_id"), nullable=False),
        sa.Column("decision_id", id_type(), sa.ForeignKey("decisions.decision_id"), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("qty", Exact(), nullable=False),
        sa.Column("price", Exact(), nullable=False),
        sa.Column("fee", Exact(), nullable=False),
        sa.Column("fee_asset", sa.String(), nullable=False),
        sa.Column("slippage_bps", Exact(), nullable=False),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("mode IN ('paper', 'testnet', 'live')", name="mode_known"),
        sa.CheckConstraint("CAST(qty AS NUMERIC) > 0", name="qty_positive"),
        sa.CheckConstraint("CAST(price AS NUMERIC) > 0", name="price_positive"),
    )
    op.create_index("fills_by_decision", "fills", ["decision_id"])
    op.create_index("fills_by_order", "fills", ["client_order_id"])


def _positions() -> None:
    op.create_table(
        "positions",
        sa.Column("position_id", id_type(), primary_key=True),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("qty", Exact(), nullable=False),
        sa.Column("entry_price", Exact(), nullable=False),
        sa.Column("realised_pnl", Exact(), nullable=False),
        sa.Column("fees", Exact(), nullable=False),
        sa.Column("opened_by", id_type(), sa.ForeignKey("decisions.decision_id"), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_by", id_type(), sa.ForeignKey("decisions.decision_id")),
        sa.Column("closed_at", UtcDateTime()),
        sa.CheckConstraint("mode IN ('paper', 'testnet', 'live')", name="mode_known"),
        sa.CheckConstraint("(CAST(qty AS NUMERIC) > 0) = (closed_at IS NULL)", name="qty_while_open"),
    )
    op.create_index(
        "one_open_position", "positions", ["account", "symbol"], unique=True, **_where("closed_at IS NULL")
    )
    op.create_index("positions_by_closer", "positions", ["closed_by"])
    op.create_index("positions_by_opener", "positions", ["opened_by"])
    op.create_index("positions_by_time", "positions", ["opened_at"])


def _equity() -> None:
    op.create_table(
        "equity",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("occurred_at", UtcDateTime(), primary_key=True),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("equity", Exact(), nullable=False),
        sa.Column("available", Exact(), nullable=False),
        sa.Column("unrealised_pnl", Exact(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("mode IN ('paper', 'testnet', 'live')", name="mode_known"),
    )


def _kill_switches() -> None:
    op.create_table(
        "kill_switches",
        sa.Column("scope", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("scope IN ('global', 'symbol', 'strategy')", name="scope_known"),
        sa.CheckConstraint("(scope = 'global') = (name = '')", name="name_unless_global"),
    )


def _trading_states() -> None:
    op.create_table(
        "trading_states",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("state IN ('ACTIVE', 'REDUCING', 'HALTED')", name="state_known"),
    )


def _switch_events() -> None:
    op.create_table(
        "switch_events",
        sa.Column("event_id", sa.Integer(), primary_key=True),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("became", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String(), primary_key=True),
        sa.Column("config_hash", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("snapshot", json_column_type(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("mode IN ('paper', 'testnet', 'live')", name="mode_known"),
    )
    op.create_index("sessions_by_time", "sessions", ["started_at"])
