"""What the governor gives back: a permit that reserves its worst case, or a denial that says everything."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import pipeline.governor
from config.sections.trading import GovernorSettings
from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError
from pipeline.domain.intents import Leg, OrderType
from pipeline.domain.permits import Denied, OrderTerms, Permit
from pipeline.domain.signals import Side
from pipeline.governor.assess import assess
from pipeline.governor.catalogue import table, unused_codes
from pipeline.governor.checks import REGISTRY
from pipeline.governor.rules.answers import verdict
from pipeline.governor.view import LIMIT_NAMES, Limits
from tests.unit.governor.worlds import (
    AUTHORITY,
    EQUITY,
    INSTRUMENT,
    LIMITS,
    NOW,
    OTHER,
    a_permit,
    a_position,
    a_view,
    an_exit,
    an_intent,
    an_order,
    decision,
    judged,
    terms_of,
)

D = Decimal


def permitted(answer: Permit | Denied) -> Permit:
    assert isinstance(answer, Permit), [each for each in answer.verdicts if not each.ok]
    return answer


def test_a_permit_holds_the_terms_the_limits_and_every_verdict() -> None:
    """The trace shows from the permit alone what was allowed and against which limits."""
    permit = permitted(judged(an_intent(), a_view()))
    assert permit.terms == terms_of(an_intent())
    assert permit.limits["max_exposure_usdt"] == "10000"
    assert len(permit.verdicts) == len(REGISTRY) + 1
    assert permit.expires_at - permit.issued_at == timedelta(seconds=10)


def test_a_denial_is_named_by_the_first_rule_that_denies() -> None:
    """With the kill switch on, that is the reason, whatever else is wrong."""
    denied = judged(an_intent(), a_view(kill_switches=None, equity=None, quote=None))
    assert isinstance(denied, Denied)
    assert denied.reason is CheckCode.KILL_SWITCH
    assert CheckCode.EQUITY_STALE in {each.code for each in denied.verdicts if not each.ok}


@pytest.mark.parametrize(
    ("changes", "reserved"),
    [
        ({}, "1002"),
        ({"side": Side.SELL, "limit_price": D("99.8")}, "1001"),
        ({"type": OrderType.MARKET, "limit_price": D("99.9")}, "1001"),
        ({"decision_price": D("101")}, "1010"),
    ],
)
def test_the_worst_case_is_reserved(changes: dict[str, Any], reserved: str) -> None:
    """A sale may fill above its limit, a market order at the ask: the larger value counts."""
    assert permitted(judged(an_intent(**changes), a_view())).reserved == D(reserved)


def test_an_exit_reserves_nothing() -> None:
    """It gives exposure back."""
    assert permitted(judged(an_exit(), a_view(positions=(a_position(),)))).reserved == 0


def test_permits_issued_one_after_another_never_exceed_a_limit() -> None:
    """The reservation of one is seen by the next, so a burst of decisions cannot add up to too much."""
    permits: list[Permit] = []
    limits = replace(LIMITS, max_positions=D(100), max_orders_per_s=D(100))
    for number in range(40):
        view = a_view(reserving=tuple(permits), instrument=replace(INSTRUMENT, symbol=f"S{number}"))
        intent = an_intent(symbol=f"S{number}")
        answer = assess(intent, terms_of(intent, decision(number)), view, limits, AUTHORITY)
        if isinstance(answer, Permit):
            permits.append(answer)
    assert len(permits) == 9
    assert sum(permit.reserved for permit in permits) <= D(10000)


def test_an_order_and_its_permit_count_once() -> None:
    """Between the order's insertion and its sending both exist."""
    permit = a_permit(reserved=8990)
    order = an_order(symbol=OTHER, permit_id=permit.permit_id, qty=D("89.9"))
    permitted(judged(an_intent(), a_view(reserving=(permit,), unsettled=(order,))))


def test_an_order_larger_than_its_permit_counts_in_full() -> None:
    """It cannot be, so if it is, the larger of the two is the truth to fear."""
    permit = a_permit(reserved=10)
    order = an_order(symbol=OTHER, permit_id=permit.permit_id, qty=D("89.99"))
    answer = judged(an_intent(), a_view(reserving=(permit,), unsettled=(order,)))
    assert isinstance(answer, Denied)
    assert answer.reason is CheckCode.MAX_EXPOSURE


def test_margin_counts_positions_that_equity_has_not_seen() -> None:
    """Between a fill and the next look at equity the money is spent already."""
    view = a_view(positions=(a_position(symbol=OTHER, qty=D(1), opened_at=NOW),))
    tight = replace(EQUITY, available=D(360))
    permitted(judged(an_intent(), replace(view, equity=replace(tight, occurred_at=NOW))))
    answer = judged(an_intent(), replace(view, equity=tight))
    assert isinstance(answer, Denied)
    assert answer.reason is CheckCode.MARGIN


@pytest.mark.parametrize("ok", ["yes", 1, [0], object()])
def test_what_only_looks_true_is_no_yes(ok: object) -> None:
    """A rule that hands on a text or an object by mistake must not admit."""
    assert not verdict(CheckCode.RATE, ok, "", "").ok


@pytest.mark.parametrize(
    "changes",
    [
        {"qty": D(11)},
        {"symbol": OTHER},
        {"side": Side.SELL},
        {"account": "another"},
        {"mode": Mode.LIVE},
        {"leg": Leg.CLOSE},
        {"decision_id": ""},
        {"decision_id": None},
        {"qty": D("sNaN")},
        {"qty": 10},
    ],
)
def test_terms_that_are_not_the_intents_are_denied(changes: dict[str, Any]) -> None:
    """What was judged and what is signed must be the same order."""
    answer = assess(an_intent(), replace(terms_of(an_intent()), **changes), a_view(), LIMITS, AUTHORITY)
    assert isinstance(answer, Denied)
    assert answer.reason in {CheckCode.BAD_INPUT, CheckCode.CHECK_FAILED}


@pytest.mark.parametrize("terms", [None, "terms", object(), {}])
def test_what_are_no_terms_are_denied(terms: Any) -> None:
    """Fail closed, also when a caller passes the wrong thing."""
    answer = assess(an_intent(), terms, a_view(), LIMITS, AUTHORITY)
    assert isinstance(answer, Denied)
    assert answer.reason is CheckCode.BAD_INPUT


def test_an_authority_that_cannot_sign_denies() -> None:
    """No signature, no permit; and the worker lives on."""
    answer = assess(an_intent(), terms_of(an_intent()), a_view(), LIMITS, None)  # type: ignore[arg-type]
    assert isinstance(answer, Denied)
    assert answer.reason is CheckCode.CHECK_FAILED


def test_the_same_question_has_the_same_answer() -> None:
    """Replay relies on it: nothing here looks at a clock or at chance."""
    assert judged(an_intent(), a_view()) == judged(an_intent(), a_view())
    assert permitted(judged(an_intent(), a_view())).issued_at == NOW


def test_limits_have_the_names_of_their_settings() -> None:
    """A renamed setting would silently become a limit that is not configured."""
    limits = Limits.of(GovernorSettings())
    assert set(limits.as_record()) == set(LIMIT_NAMES)
    assert limits.quote_max_age_s == D("5.0")


@pytest.mark.parametrize("value", [D("NaN"), D("Infinity"), D(-1), 5, 5.0, "5", True])
@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_what_cannot_limit_anything_is_refused_at_the_start(name: str, value: Any) -> None:
    """An infinite limit is no limit; NaN answers every question with no."""
    with pytest.raises(ConfigError, match=f"governor.{name}"):
        Limits(**{name: value})


def test_the_page_shows_the_table_that_the_code_makes() -> None:
    """Documentation of limits that differs from the limits is worse than none."""
    page = (Path(__file__).parents[3] / "docs" / "governor.md").read_text(encoding="utf-8")
    assert table() in page
    assert ", ".join(f"`{code}`" for code in unused_codes()) in page


def test_each_code_stands_once_in_the_registry() -> None:
    """Verdicts are stored by code: two rules with one code would hide each other."""
    codes = [check.code for check in REGISTRY]
    assert len(codes) == len(set(codes))
    assert CheckCode.CHECK_FAILED not in codes


def test_the_governor_imports_only_the_domain_and_the_standard_library() -> None:
    """It can be judged, tested and replayed without a ledger, a broker or a network."""
    root = Path(next(iter(pipeline.governor.__path__)))
    modules = {
        module
        for source in root.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        for module in _imported(node)
    }
    allowed = ("pipeline.domain.", "pipeline.governor.")
    assert [
        module
        for module in modules
        if not module.startswith(allowed) and module.split(".")[0] not in sys.stdlib_module_names
    ] == []


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_terms_are_taken_from_the_intent_without_loss() -> None:
    """`OrderTerms.of` is the only bridge between what is judged and what is sent."""
    terms = terms_of(an_intent())
    assert OrderTerms.of(an_intent(), terms.decision_id, terms.account, terms.mode) == terms
