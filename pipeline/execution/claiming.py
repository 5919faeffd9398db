"""Becoming the only one who may send an order, inside the caller's durable transaction.

The decision is open and in time, no switch is on, the permit is used up by this, and the order is SENDING with our
fence and the time that will be signed.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from pipeline.domain.decisions import Decision
from pipeline.domain.errors import UnknownDecision
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.ports import Unit
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.gate import stop_reason, uncovered
from pipeline.execution.job import Job
from pipeline.execution.resolver import abandon


def ours(decision: Decision, account: str) -> Decision:
    """The decision, of the account that the exchange is asked for. Raises: UnknownDecision for any other's."""
    if decision.account != account:
        whose = f"{decision.decision_id} is of account {decision.account}"
        raise UnknownDecision(f"{whose}, and orders go to {account} here; nothing was sent")
    return decision


def locked(unit: Unit, job: Job, account: str) -> Decision:
    """The job's decision, which is `ours` and nobody else can end before the unit does. Raises: UnknownDecision."""
    decision = unit.decisions.lock(job.decision.decision_id)
    if decision is None:
        raise UnknownDecision(f"{job.decision.decision_id} is not in the ledger; nothing was sent")
    return ours(decision, account)


def claim(unit: Unit, decision: Decision, job: Job, order: Order, now: datetime) -> Order | None:
    """The order as SENDING, of the `locked` decision. None when it must not be sent, which abandons it, or when
    somebody else has it.
    """
    stop = stop_reason(unit, decision, job.intent, now) or uncovered(unit, order, job.permit, now)
    if stop is not None:
        abandon(unit, order, unit.permits.of(order.decision_id, order.leg), stop, now)
        return None
    sending = unit.orders.step(order, OrderState.SENDING, now, fence=uuid.uuid4().hex, sent_at=now)
    reached(CrashPoint.CLAIM_UNCOMMITTED, order.symbol)
    return sending
