"""One leg of one decision that is to be placed, and the orders that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.domain.decisions import Decision
from pipeline.domain.ids import client_order_id
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.ports import Unit
from pipeline.execution.attempts import Attempt
from pipeline.execution.booking import Then
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.resolver import blocks_its_symbol


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done: one leg of one decision, with its permit; `then` and `durable` as in `Bookkeeper.settle`."""

    decision: Decision
    intent: Intent
    permit: Permit
    then: Then | None = None
    durable: bool = False

    @property
    def terms(self) -> OrderTerms:
        return OrderTerms.of(
            self.intent, self.decision.decision_id, self.decision.account, self.decision.mode
        )

    @property
    def ends_at(self) -> datetime:
        """When nothing may be sent for it any more."""
        return min(self.permit.expires_at, self.decision.deadline_at)


class Found(NamedTuple):
    """The leg's attempts so far, and other decisions' orders on the symbol whose fate is open."""

    attempts: Sequence[Order]
    blocking: Sequence[Order]


def find(unit: Unit, decision: Decision, intent: Intent) -> Found:
    """What stands in the ledger of a leg, and in its way."""
    mine = unit.orders.of(decision.decision_id)
    attempts = [order for order in mine if order.leg is intent.leg]
    if intent.reduce_only:  # the exchange never fills it beyond the position, whatever else is on its way
        return Found(attempts, ())
    others = unit.orders.unsettled(decision.account, intent.symbol)
    blocking = [o for o in others if o.decision_id != decision.decision_id and blocks_its_symbol(o)]
    return Found(attempts, blocking)


def new_order(job: Job, attempt: Attempt, now: datetime) -> Order:
    """The order that an attempt is, as INTENT."""
    terms = job.terms
    return Order(
        client_order_id=client_order_id(terms.account, terms.decision_id, terms.leg, attempt.number),
        decision_id=terms.decision_id,
        leg=terms.leg,
        attempt=attempt.number,
        account=terms.account,
        mode=terms.mode,
        permit_id=job.permit.permit_id,
        symbol=terms.symbol,
        side=terms.side,
        type=terms.type,
        tif=terms.tif,
        qty=attempt.qty,
        limit_price=attempt.limit_price,
        reduce_only=terms.reduce_only,
        decision_price=job.intent.decision_price,
        created_at=now,
    )


def order_context(job: Job, order: Order, options: ExecutionOptions) -> dict[str, Any]:
    """What ORDER_CONTEXT says before each attempt."""
    return {
        "intent_id": f"{order.decision_id}.{order.leg}",
        "decision_id": order.decision_id,
        "client_order_id": order.client_order_id,
        "permit_id": order.permit_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "qty": order.qty,
        "limit_px": order.limit_price,
        "quote_budget": job.permit.reserved,
        "notional": order.qty * order.limit_price,
        "tif": order.tif.value,
        "slippage_bps": options.slippage_bps,
        "min_notional": job.intent.min_notional,
        "max_retries": options.max_attempts - 1,
        "retry_backoff_ms": options.retry_backoff_ms,
        "attempt": order.attempt,
        "attempt_start_ts": order.sent_at,
    }
