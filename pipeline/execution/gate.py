"""The last questions before an order leaves, asked inside the transaction that sends it. All of them
fail closed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Decision, End
from pipeline.domain.intents import Intent
from pipeline.domain.orders import Order
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit, PermitState
from pipeline.domain.ports import Unit
from pipeline.domain.switches import KillSwitch, TradingState
from pipeline.execution.attempts import uncovered_rest

PermitCheck = Callable[[Permit, OrderTerms, datetime], End | None]
"""Why a permit does not allow these terms at that time: `PERMIT_INVALID` or `PERMIT_EXPIRED`; None when
it does.
"""


def stop_reason(unit: Unit, decision: Decision, intent: Intent, now: datetime) -> End | None:
    """Why nothing may be sent for the decision (locked by the caller) now; None when it may."""
    if not decision.is_open:
        return End(
            decision.reason or EndReason.DEADLINE, f"the decision has ended already: {decision.detail}"
        )
    if decision.dry_run:
        return End(EndReason.DRY_RUN, "a dry run sends nothing")
    if now >= decision.deadline_at:
        return End(EndReason.DEADLINE, f"it is past {decision.deadline_at:%H:%M:%S}; the market has moved on")
    if intent.reduce_only and intent.leg.guards:
        return None  # a position keeps its stop, whatever people have switched off
    return _switched_off(unit, intent) or _halted(unit, decision, intent)


def _switched_off(unit: Unit, intent: Intent) -> End | None:
    try:
        on = [switch for switch in unit.switches.on() if switch.covers(intent.symbol, intent.strategy)]
    except Exception as error:  # noqa: BLE001 -- a switch that cannot be read counts as on
        return End(
            CheckCode.KILL_SWITCH, f"the kill switch cannot be read ({type(error).__name__}): it counts as on"
        )
    return End(CheckCode.KILL_SWITCH, _told(on[0])) if on else None


def _told(switch: KillSwitch) -> str:
    name = f" {switch.name}" if switch.name else ""
    since = f"{switch.set_at:%H:%M:%S}"
    return f"the {switch.scope}{name} switch is on since {since}, by {switch.set_by}: {switch.reason}"


def _halted(unit: Unit, decision: Decision, intent: Intent) -> End | None:
    try:
        state = unit.switches.trading_state(decision.account)
    except Exception as error:  # noqa: BLE001 -- a state that cannot be read counts as halted
        return End(
            CheckCode.HALTED,
            f"the trading state cannot be read ({type(error).__name__}): it counts as halted",
        )
    if state is TradingState.ACTIVE or (state is TradingState.REDUCING and intent.reduce_only):
        return None
    code = CheckCode.REDUCING if state is TradingState.REDUCING else CheckCode.HALTED
    return End(code, f"trading of account {decision.account} is {state}")


def uncovered(unit: Unit, order: Order, permit: Permit, now: datetime) -> End | None:
    """Use the permit for this attempt; why it does not cover it, or None when it does.

    The first attempt uses it up. A later one is covered only while the same permit lives, and only for
    what no earlier attempt has filled or can still fill; see `attempts.uncovered_rest`.
    """
    if order.attempt == 1:
        return None if unit.permits.use(permit.permit_id, now) else _spent(permit, now)
    stored = unit.permits.of(order.decision_id, order.leg)
    if stored is None or stored.state is not PermitState.USED or now >= stored.expires_at:
        return _spent(permit, now)
    attempts = [other for other in unit.orders.of(order.decision_id) if other.leg is order.leg]
    earlier = [other for other in attempts if other.attempt < order.attempt]
    problem = uncovered_rest(stored.terms, order, earlier)
    return End(EndReason.PERMIT_INVALID, problem) if problem else None


def _spent(permit: Permit, now: datetime) -> End:
    if now >= permit.expires_at:
        return End(
            EndReason.PERMIT_EXPIRED, f"the permit ran out at {permit.expires_at:%H:%M:%S}; nothing was sent"
        )
    return End(EndReason.PERMIT_INVALID, "the permit has been used or released already")
