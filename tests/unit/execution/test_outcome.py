"""How a decision ends, told from its orders alone."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import End, Unresolved
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.execution.outcome import abandonment, conclude, read_abandonment
from tests.unit.execution.order_worlds import OrderWorld, ended_for


def order(state: OrderState, filled: str = "0", detail: str = "", attempt: int = 1) -> Order:
    world = OrderWorld()
    world.place()
    return replace(world.order, state=state, filled_qty=Decimal(filled), detail=detail, attempt=attempt)


@pytest.mark.parametrize(
    ("state", "filled", "reason"),
    [
        (OrderState.FILLED, "0.010", EndReason.FILLED),
        (OrderState.EXPIRED, "0.004", EndReason.PARTIALLY_FILLED),
        (OrderState.CANCELED, "0", EndReason.UNFILLED),
        (OrderState.EXPIRED, "0", EndReason.UNFILLED),
        (OrderState.REJECTED, "0", EndReason.REJECTED_BY_EXCHANGE),
        (OrderState.NOT_PLACED, "0", EndReason.NOT_PLACED),
        (OrderState.ABANDONED, "0", EndReason.PERMIT_EXPIRED),
    ],
)
def test_every_final_state_has_its_reason(state: OrderState, filled: str, reason: EndReason) -> None:
    """No decision may stay without an outcome once its orders are done."""
    assert ended_for(conclude([order(state, filled)])) is reason


@pytest.mark.parametrize("state", [state for state in OrderState if not state.is_final])
def test_no_unsettled_order_ends_a_decision(state: OrderState) -> None:
    """Ending it would forget the exposure."""
    assert isinstance(conclude([order(state)]), Unresolved)


def test_the_last_attempt_decides() -> None:
    """The earlier ones were refused, or there would be no later one."""
    attempts = [order(OrderState.FILLED, "0.010", attempt=2), order(OrderState.REJECTED, attempt=1)]
    assert ended_for(conclude(attempts)) is EndReason.FILLED


def test_a_decision_without_orders_cannot_be_concluded_from_them() -> None:
    """The caller has mixed something up."""
    with pytest.raises(InvariantBroken):
        conclude([])


@pytest.mark.parametrize("reason", [EndReason.DEADLINE, CheckCode.KILL_SWITCH, EndReason.PERMIT_INVALID])
def test_why_an_order_was_abandoned_can_be_read_back(reason: Reason) -> None:
    """A crash between the abandoning and the decision's end must not lose the reason."""
    assert read_abandonment(abandonment(End(reason, "because: so"))) == (reason, "because: so")
