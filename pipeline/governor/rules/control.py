"""Rules that people set: kill switch and trading state."""

from __future__ import annotations

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.intents import Intent
from pipeline.domain.switches import KillSwitch, TradingState
from pipeline.governor.rules.answers import deny, verdict
from pipeline.governor.view import Limits, WorldView


def kill_switch(intent: Intent, view: WorldView, _: Limits) -> CheckVerdict:
    """Denies when a switch that is on covers the symbol or the strategy, or the switches cannot be read."""
    if view.kill_switches is None:
        return deny(CheckCode.KILL_SWITCH, "unreadable, which counts as on", "off")
    on = [
        _described(switch) for switch in view.kill_switches if switch.covers(intent.symbol, intent.strategy)
    ]
    return verdict(CheckCode.KILL_SWITCH, not on, "; ".join(on) or "off", "off")


def _described(switch: KillSwitch) -> str:
    return f"{switch.scope} {switch.name}".strip() + f" on, set by {switch.set_by}: {switch.reason}"


def halted(_: Intent, view: WorldView, __: Limits) -> CheckVerdict:
    """Denies when the trading state is `HALTED`, was never set, or cannot be read."""
    trades = view.trading_state is TradingState.ACTIVE or view.trading_state is TradingState.REDUCING
    return verdict(CheckCode.HALTED, trades, _state(view), "ACTIVE or REDUCING")


def reducing(_: Intent, view: WorldView, __: Limits) -> CheckVerdict:
    """Denies when the trading state is `REDUCING` and the order does not reduce a position."""
    return verdict(
        CheckCode.REDUCING, view.trading_state is not TradingState.REDUCING, _state(view), "not REDUCING"
    )


def _state(view: WorldView) -> str:
    return "unreadable" if view.trading_state is None else str(view.trading_state)
