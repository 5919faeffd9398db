"""Records of the ledger as plain JSON: what `--json` prints and the web API answers.

Times are ISO 8601 in UTC with milliseconds; money, prices and quantities are strings in plain notation, so
that no reader turns them into floats by accident. Durations are in milliseconds. What is not known is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from pipeline.domain.checks import CheckVerdict
from pipeline.domain.decisions import Decision, StageRecord
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Fill, Order
from pipeline.domain.permits import Permit
from pipeline.domain.positions import Position
from pipeline.domain.signals import StrategyVerdict
from pipeline.domain.timeframes import iso

Record = dict[str, object]


def number(value: Decimal | None) -> str | None:
    """`0.00001`, never `1E-5`."""
    return None if value is None else format(value, "f")


def duration_ms(start: datetime, end: datetime | None) -> float | None:
    """Milliseconds from one instant to another."""
    return None if end is None else round((end - start).total_seconds() * 1000, 3)


def decision_record(decision: Decision) -> Record:
    """One decision, as in `throughline decisions --json`."""
    return {
        "decision_id": decision.decision_id,
        "symbol": decision.symbol,
        "slot": iso(decision.slot),
        "mode": decision.mode.value,
        "origin": decision.origin.value,
        "account": decision.account,
        "outcome": None if decision.outcome is None else decision.outcome.value,
        "reason": None if decision.reason is None else decision.reason.value,
        "detail": decision.detail,
        "enqueued_at": iso(decision.enqueued_at),
        "expires_at": iso(decision.expires_at),
        "deadline_at": iso(decision.deadline_at),
        "ended_at": iso(decision.ended_at),
        "total_ms": duration_ms(decision.enqueued_at, decision.ended_at),
        "dry_run": decision.dry_run,
        "opener": decision.opener,
        "config_hash": decision.config_hash,
        "universe_version": decision.universe_version,
    }


def stage_record(stage: StageRecord, inputs: Mapping[str, object]) -> Record:
    """One stage that was run. `inputs` is what the stage before it handed on."""
    return {
        "stage": stage.stage.value,
        "task_id": stage.task_id,
        "host": stage.host,
        "worker": stage.worker,
        "pid": stage.pid,
        "attempt": stage.attempt,
        "queue_wait_ms": stage.queue_wait_ms,
        "started_at": iso(stage.started_at),
        "run_ms": stage.run_ms,
        "result": stage.result.value,
        "inputs": dict(inputs),
        "output": dict(stage.output),
    }


def verdict_record(verdict: StrategyVerdict) -> Record:
    """One strategy's answer: its signal, its nearest miss, or the error that it died of."""
    miss = verdict.nearest_miss
    return {
        "strategy": verdict.strategy,
        "kind": verdict.kind.value,
        "regime": verdict.regime.value,
        "chosen": verdict.chosen,
        "signal": None if verdict.signal is None else verdict.signal.as_record(),
        "nearest_miss": None
        if miss is None
        else {"condition": miss.condition, "value": miss.value, "threshold": miss.threshold},
        "error": verdict.error,
        "run_ms": verdict.run_ms,
    }


def check_record(verdict: CheckVerdict) -> Record:
    """One check of the governor: `code, ok, value, limit, detail`."""
    return verdict.as_record()


def permit_record(permit: Permit) -> Record:
    """A permit without its signature, which is worth an order."""
    terms = permit.terms
    return {
        "permit_id": permit.permit_id,
        "state": permit.state.value,
        "leg": terms.leg.value,
        "symbol": terms.symbol,
        "side": terms.side.value,
        "type": terms.type.value,
        "tif": terms.tif.value,
        "qty": number(terms.qty),
        "price": number(terms.limit_price),
        "reduce_only": terms.reduce_only,
        "terms_hash": permit.terms_hash,
        "reserved": number(permit.reserved),
        "limits": dict(permit.limits),
        "issued_at": iso(permit.issued_at),
        "expires_at": iso(permit.expires_at),
        "used_at": iso(permit.used_at),
    }


def order_record(order: Order, steps: Iterable[Mapping[str, object]] | None = None) -> Record:
    """One order attempt, as in `throughline orders --json`; in a trace with the steps of its life."""
    record: Record = {
        "client_order_id": order.client_order_id,
        "decision_id": order.decision_id,
        "leg": order.leg.value,
        "attempt": order.attempt,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "tif": order.tif.value,
        "qty": number(order.qty),
        "price": number(order.limit_price),
        "reduce_only": order.reduce_only,
        "state": order.state.value,
        "exchange_order_id": order.exchange_order_id or None,
        "filled_qty": number(order.filled_qty),
        "avg_price": number(order.avg_price),
        "fee": number(order.fee),
        "fee_asset": order.fee_asset or None,
        "decision_price": number(order.decision_price),
        "mode": order.mode.value,
        "account": order.account,
        "permit_id": order.permit_id,
        "created_at": iso(order.created_at),
        "sent_at": iso(order.sent_at),
        "resolved_at": iso(order.resolved_at),
        "detail": order.detail,
    }
    return record if steps is None else {**record, "steps": [_step_record(step) for step in steps]}


def _step_record(step: Mapping[str, object]) -> Record:
    at = step.get("at")
    return {**step, "at": iso(at) if isinstance(at, datetime) else at}


def fill_record(fill: Fill) -> Record:
    """One trade of an order."""
    return {
        "exchange": fill.exchange,
        "symbol": fill.symbol,
        "trade_id": fill.trade_id,
        "client_order_id": fill.client_order_id,
        "decision_id": fill.decision_id,
        "side": fill.side.value,
        "qty": number(fill.qty),
        "price": number(fill.price),
        "fee": number(fill.fee),
        "fee_asset": fill.fee_asset or None,
        "slippage_bps": number(fill.slippage_bps),
        "occurred_at": iso(fill.occurred_at),
        "recorded_at": iso(fill.recorded_at),
    }


def position_record(position: Position, exits: Sequence[Order] = ()) -> Record:
    """One position, as in `throughline positions --json`; `stop` and `target` are where they rest now."""
    resting = {each.leg: each.limit_price for each in exits if each.waits}
    return {
        "stop": number(resting.get(Leg.STOP)),
        "target": number(resting.get(Leg.TARGET)),
        "position_id": position.position_id,
        "symbol": position.symbol,
        "side": "long" if position.side.sign > 0 else "short",
        "qty": number(position.qty),
        "entry_price": number(position.entry_price),
        "realised_pnl": number(position.realised_pnl),
        "fees": number(position.fees),
        "mode": position.mode.value,
        "account": position.account,
        "is_open": position.is_open,
        "opened_by": position.opened_by,
        "opened_at": iso(position.opened_at),
        "closed_by": position.closed_by,
        "closed_at": iso(position.closed_at),
    }
