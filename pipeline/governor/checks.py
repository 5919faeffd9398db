"""The registry of rules, and the function that asks all of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from pipeline.domain.checks import NOT_APPLICABLE, CheckCode, CheckVerdict
from pipeline.domain.intents import Intent
from pipeline.governor.exposure import Effect, effect_of
from pipeline.governor.rules import account, control, history, market, order, system
from pipeline.governor.rules.answers import seen, verdict
from pipeline.governor.view import Limits, WorldView

Rule = Callable[[Intent, WorldView, Limits], CheckVerdict]

EVERY = frozenset(Effect)
CHOSEN = frozenset({Effect.ADDS, Effect.REDUCES})  # whoever stops trading does not mean to bare what is held
PRICED = frozenset({Effect.ADDS, Effect.REDUCES})  # a stop is meant to be far from the price
ADDING = frozenset({Effect.ADDS})  # what keeps us from taking risk must not keep us from giving it up


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the registry: the code it answers with, the rule, and the intents that it is asked about."""

    code: CheckCode
    rule: Rule
    applies_to: frozenset[Effect]


# In the order in which they name a decision's reason: the first that denies.
REGISTRY: tuple[Check, ...] = (
    Check(CheckCode.KILL_SWITCH, control.kill_switch, CHOSEN),
    Check(CheckCode.HALTED, control.halted, CHOSEN),
    Check(CheckCode.REDUCING, control.reducing, ADDING),
    Check(CheckCode.BAD_INPUT, order.bad_input, EVERY),
    Check(CheckCode.NOT_IN_UNIVERSE, order.not_in_universe, ADDING),
    Check(CheckCode.PRECISION, order.precision, EVERY),
    Check(CheckCode.MIN_NOTIONAL, order.min_notional, ADDING),
    Check(CheckCode.MAX_QTY, order.max_qty, ADDING),
    Check(CheckCode.MAX_VALUE, order.max_value, ADDING),
    Check(CheckCode.CONFIG_DRIFT, system.config_drift, ADDING),
    Check(CheckCode.CLOCK_SKEW, system.clock_skew, ADDING),
    Check(CheckCode.NOT_RECONCILED, system.not_reconciled, ADDING),
    Check(CheckCode.DAILY_LOSS, history.daily_loss, ADDING),
    Check(CheckCode.DRAWDOWN, history.drawdown, ADDING),
    Check(CheckCode.LATCHED, history.latched, ADDING),
    Check(CheckCode.KILL_SCORE, history.kill_score, ADDING),
    Check(CheckCode.STALE_DATA, market.stale_data, ADDING),
    Check(CheckCode.DATA_JUMP, market.data_jump, ADDING),
    Check(CheckCode.NO_REFERENCE, market.no_reference, PRICED),
    Check(CheckCode.PRICE_COLLAR, market.price_collar, PRICED),
    Check(CheckCode.EQUITY_STALE, account.equity_stale, ADDING),
    Check(CheckCode.MARGIN, account.margin, ADDING),
    Check(CheckCode.LEVERAGE, account.leverage, ADDING),
    Check(CheckCode.MAX_POSITIONS, account.max_positions, ADDING),
    Check(CheckCode.MAX_POSITION, account.max_position, ADDING),
    Check(CheckCode.MAX_EXPOSURE, account.max_exposure, ADDING),
    Check(CheckCode.RATE, history.rate, ADDING),
    Check(CheckCode.COOLDOWN, history.cooldown, ADDING),
    Check(CheckCode.DUPLICATE, account.duplicate, ADDING),
    Check(CheckCode.UNKNOWN_PENDING, account.unknown_pending, ADDING),
)


def run(
    intent: Intent, view: WorldView, limits: Limits, registry: tuple[Check, ...] = REGISTRY
) -> tuple[CheckVerdict, ...]:
    """Ask every rule. One verdict for each row, in its order, then `CHECK_FAILED`. Raises nothing.

    A rule that raises has no verdict of its own: `CHECK_FAILED` names it, and denies.
    """
    effect = _effect(intent, view)
    verdicts: list[CheckVerdict] = []
    raised: list[str] = []
    for check in registry:
        if effect not in check.applies_to:
            verdicts.append(_not_asked(check.code, effect))
            continue
        try:
            verdicts.append(check.rule(intent, view, limits))
        except Exception as error:  # noqa: BLE001 - whatever a rule raises denies
            raised.append(f"{check.code}: {in_words(error)}")
    return (*verdicts, check_failed(raised))


@cache
def _not_asked(code: CheckCode, effect: Effect) -> CheckVerdict:
    """What guards has thirty of them."""
    return verdict(code, ok=True, value=effect.value, limit=NOT_APPLICABLE)


def check_failed(raised: Iterable[str]) -> CheckVerdict:
    """Denies when a rule raised; names it and its error."""
    raised = tuple(raised)
    names = ", ".join(each.split(":", 1)[0] for each in raised)
    return verdict(CheckCode.CHECK_FAILED, not raised, names or "none", "no rule raises", "; ".join(raised))


def in_words(error: Exception) -> str:
    """The error's name and text; also of one that cannot be printed."""
    return seen(traceback.format_exception_only(error)[-1].strip())


def _effect(intent: Intent, view: WorldView) -> Effect:
    """What cannot be told to reduce is taken to add: every rule applies."""
    try:
        return effect_of(intent, view)
    except Exception:  # noqa: BLE001 - rubbish is judged by the rules
        return Effect.ADDS
