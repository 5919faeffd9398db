"""Ending a decision: once, with a reason, and never while an order of it may still be out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.domain.decisions import Decision, End
from pipeline.domain.orders import Order
from pipeline.domain.outcomes import Reason, outcome_of
from pipeline.domain.permits import PermitState
from pipeline.domain.ports import Unit
from pipeline.execution.outcome import conclude


def ended(decision: Decision, reason: Reason, detail: str, at: datetime) -> Decision:
    """The decision as it stands once it has ended."""
    return replace(decision, outcome=outcome_of(reason), reason=reason, detail=detail, ended_at=at)


def end_if_settled(
    unit: Unit, decision: Decision, reason: Reason, detail: str, at: datetime
) -> Decision | None:
    """End a locked decision unless one of its orders is unsettled: those belong to the resolver.

    A decision that has an order ends as its order did, whatever else befell it: what was filled was executed.
    A permit that was never used is released, so that its reservation does not outlive the decision.
    Returns the ended decision, or None when it stays as it was.
    """
    orders = unit.orders.of(decision.decision_id)
    if any(not order.state.is_final for order in orders):
        return None
    end = _as_the_orders_say(orders, End(reason, detail))
    permit = unit.permits.of(decision.decision_id)
    if permit is not None and permit.state is PermitState.ISSUED:
        unit.permits.release(permit.permit_id)
    if not unit.decisions.end(decision.decision_id, end.reason, end.detail, at):
        return None
    return ended(decision, end.reason, end.detail, at)


def _as_the_orders_say(orders: Sequence[Order], otherwise: End) -> End:
    told = conclude(orders) if orders else otherwise
    if not isinstance(told, End) or told is otherwise:
        return otherwise
    return replace(told, detail=f"{told.detail} ({otherwise.reason}: {otherwise.detail})")
