"""The one place where permits come from."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.intents import Intent
from pipeline.domain.permits import Denied, OrderTerms, Permit
from pipeline.governor.checks import check_failed, in_words, run
from pipeline.governor.exposure import Effect, effect_of, worst_value
from pipeline.governor.permits import PermitAuthority
from pipeline.governor.rules.answers import seen
from pipeline.governor.view import Limits, WorldView, is_name

_TERMS = tuple(field.name for field in fields(OrderTerms))


def assess(
    intent: Intent, terms: OrderTerms, view: WorldView, limits: Limits, authority: PermitAuthority
) -> Permit | Denied:
    """Ask every rule about `intent`; a permit for exactly `terms` if none denies. Raises nothing.

    Requires: `terms` are the intent's own, for the view's account and mode.
    Produces: every rule's verdict, in a permit that reserves the worst case in quote, or in the denial.
    """
    verdicts = _with_terms(run(intent, view, limits), intent, terms, view)
    if not all(verdict.ok for verdict in verdicts):
        return Denied(verdicts)
    try:
        return authority.issue(terms, reserved(intent, view), limits, verdicts, view.now)
    except Exception as error:  # noqa: BLE001 - without a signature there is no permit, whatever the cause
        return Denied((*verdicts[:-1], check_failed([f"permit: {in_words(error)}"])))


def reserved(intent: Intent, view: WorldView) -> Decimal:
    """What the permit holds against the limits, in quote: the worst case, or 0 if the order reduces."""
    return worst_value(intent, view) if effect_of(intent, view) is Effect.ADDS else Decimal(0)


def _with_terms(
    verdicts: tuple[CheckVerdict, ...], intent: Intent, terms: OrderTerms, view: WorldView
) -> tuple[CheckVerdict, ...]:
    """The verdicts, with `BAD_INPUT` denying as well when the terms are not the intent's."""
    problem = _mismatch(intent, terms, view)
    if not problem:
        return verdicts
    return tuple(_denied(each, problem) if each.code is CheckCode.BAD_INPUT else each for each in verdicts)


def _denied(verdict: CheckVerdict, problem: str) -> CheckVerdict:
    value = problem if verdict.ok else f"{verdict.value}; {problem}"
    return replace(verdict, ok=False, value=value)


def _are_terms(terms: object) -> bool:
    return isinstance(terms, OrderTerms) and is_name(terms.decision_id)


def _mismatch(intent: Intent, terms: OrderTerms, view: WorldView) -> str:
    try:
        if not _are_terms(terms):
            return f"{seen(terms)} are not the terms of a decision's order"
        expected = OrderTerms.of(intent, terms.decision_id, view.account, view.mode)
        differing = [name for name in _TERMS if getattr(terms, name) != getattr(expected, name)]
    except Exception as error:  # noqa: BLE001 - terms that cannot be compared are not the intent's
        return f"the terms cannot be compared with the intent: {in_words(error)}"
    return f"the terms differ from the intent in {', '.join(differing)}" if differing else ""
