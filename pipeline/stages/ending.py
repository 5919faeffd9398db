"""Ending a decision: once, with a reason, and never while an order of it may still be out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pipeline.domain.decisions import Decision
from pipeline.domain.outcomes import Reason, outcome_of
from pipeline.domain.permits import PermitState
from pipeline.domain.ports import Unit


def ended(decision: Decision, reason: Reason, detail: str, at: datetime) -> Decision:
    """The decision as it stands once it has ended."""
    return replace(decision, outcome=outcome_of(reason), reason=reason, detail=detail, ended_at=at)


def end_if_settled(
    unit: Unit, decision: Decision, reason: Reason, detail: str, at: datetime
) -> Decision | None:
    """End a locked decision unless one of its orders is unsettled: those belong to the resolver.

    A permit that was never used is released, so that its reservation does not outlive the decision.
    Returns the ended decision, or None when it stays as it was.
    """
    if any(not order.state.is_final for order in unit.orders.of(decision.decision_id)):
        return None
    permit = unit.permits.of(decision.decision_id)
    if permit is not None and permit.state is PermitState.ISSUED:
        unit.permits.release(permit.permit_id)
    if not unit.decisions.end(decision.decision_id, reason, detail, at):
        return None
    return ended(decision, reason, detail, at)
