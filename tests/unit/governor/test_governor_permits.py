"""A permit is worth exactly one order, for some seconds, and only to who has the key."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError, InvariantBroken
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.permits import OrderTerms, Permit, PermitState
from pipeline.domain.signals import Side
from pipeline.governor.permits import Invalid, PermitAuthority, Valid
from tests.unit.governor.worlds import (
    AUTHORITY,
    KEY,
    LIMITS,
    NOW,
    FixedClock,
    a_view,
    an_intent,
    decision,
    judged,
    terms_of,
)

D = Decimal
TERMS = terms_of(an_intent())


@pytest.fixture
def permit() -> Permit:
    given_permit = judged(an_intent(), a_view())
    assert isinstance(given_permit, Permit)
    return given_permit


def test_a_permit_is_valid_for_its_order_until_it_expires(permit: Permit) -> None:
    """The one good case."""
    last_moment = permit.expires_at - timedelta(milliseconds=1)
    assert AUTHORITY.verify(permit, TERMS, NOW) == Valid()
    assert AUTHORITY.verify(permit, TERMS, last_moment) == Valid()


def test_an_expired_permit_is_told_from_a_forged_one(permit: Permit) -> None:
    """One is bad luck, the other a security event."""
    late = AUTHORITY.verify(permit, TERMS, permit.expires_at)
    assert isinstance(late, Invalid)
    assert late.expired
    forged = AUTHORITY.verify(replace(permit, signature="0" * 64), TERMS, permit.expires_at)
    assert isinstance(forged, Invalid)
    assert not forged.expired


TAMPERED_TERMS: list[dict[str, Any]] = [
    {"account": "another"},
    {"mode": Mode.LIVE},
    {"decision_id": decision(77)},
    {"leg": Leg.CLOSE},
    {"symbol": "ETH/USDT:USDT"},
    {"side": Side.SELL},
    {"type": OrderType.MARKET},
    {"tif": TimeInForce.GTC},
    {"qty": D("10.001")},
    {"limit_price": D("100.3")},
    {"reduce_only": True},
]


@pytest.mark.parametrize("changes", TAMPERED_TERMS)
def test_any_other_order_is_refused(permit: Permit, changes: dict[str, Any]) -> None:
    """The permit binds every property that reaches the exchange."""
    assert isinstance(AUTHORITY.verify(permit, replace(TERMS, **changes), NOW), Invalid)


def test_every_field_of_the_terms_is_bound() -> None:
    """A field added to the terms later must not stay unbound."""
    assert {name for changes in TAMPERED_TERMS for name in changes} == set(OrderTerms.__slots__)


@pytest.mark.parametrize(
    "changes",
    [
        {"reserved": D(0)},
        {"expires_at": NOW + timedelta(days=1)},
        {"issued_at": NOW - timedelta(seconds=1)},
        {"terms_hash": replace(TERMS, qty=D(999)).hash()},
        {"permit_id": "per_0000000000000000"},
        {"signature": ""},
        {"signature": "ü"},
        {"signature": None},
        {"state": PermitState.USED},
        {"state": PermitState.RELEASED},
        {"state": "issued"},
        {"expires_at": NOW.replace(tzinfo=None)},
        {"expires_at": None},
        {"reserved": D("NaN")},
        {"reserved": "1002"},
    ],
)
def test_a_changed_permit_is_refused(permit: Permit, changes: dict[str, Any]) -> None:
    """Whoever can write to the queue or the ledger still cannot widen a permit."""
    verdict = AUTHORITY.verify(replace(permit, **changes), TERMS, NOW)
    assert isinstance(verdict, Invalid)
    assert not verdict.expired


def test_terms_and_hash_changed_together_are_refused(permit: Permit) -> None:
    """The signature covers the hash: swapping both in the ledger does not help."""
    larger = replace(TERMS, qty=D(9999))
    swapped = replace(permit, terms=larger, terms_hash=larger.hash())
    assert isinstance(AUTHORITY.verify(swapped, larger, NOW), Invalid)


@given(st.one_of(st.none(), st.text(), st.integers(), st.binary(), st.builds(object)))
def test_what_is_no_permit_is_refused_without_raising(rubbish: Any) -> None:
    """A forged message may carry anything; the worker lives on."""
    assert isinstance(AUTHORITY.verify(rubbish, TERMS, NOW), Invalid)
    own = judged(an_intent(), a_view())
    assert isinstance(own, Permit)
    assert isinstance(AUTHORITY.verify(own, rubbish, NOW), Invalid)


def test_another_key_neither_issues_nor_accepts_ours(permit: Permit) -> None:
    """Only the hosts that share the key take part."""
    stranger = PermitAuthority(KEY[::-1], 10, FixedClock())
    assert isinstance(stranger.verify(permit, TERMS, NOW), Invalid)
    theirs = stranger.issue(TERMS, permit.reserved, LIMITS, permit.verdicts, NOW)
    assert isinstance(AUTHORITY.verify(theirs, TERMS, NOW), Invalid)


def test_a_permit_survives_the_ledger(permit: Permit) -> None:
    """Stores change the spelling of numbers, the zone of times, and drop microseconds."""
    east = timezone(timedelta(hours=2))
    stored = replace(
        permit,
        reserved=permit.reserved.quantize(D("0.000000000001")),
        terms=replace(permit.terms, qty=D("10.00000000"), limit_price=D("100.2000")),
        issued_at=permit.issued_at.astimezone(east),
        expires_at=permit.expires_at.astimezone(east),
    )
    assert AUTHORITY.verify(stored, stored.terms, NOW) == Valid()
    assert permit.issued_at.microsecond % 1000 == 0


@pytest.mark.parametrize("micros", [1, 999_999, 500_001])
def test_times_are_cut_to_milliseconds_before_they_are_signed(permit: Permit, micros: int) -> None:
    """A ledger that keeps milliseconds must give back what was signed."""
    at = datetime(2025, 3, 1, 12, 0, 0, micros, tzinfo=UTC)
    issued = AUTHORITY.issue(TERMS, D(1), LIMITS, permit.verdicts, at)
    stored = replace(issued, issued_at=issued.issued_at.replace(microsecond=micros // 1000 * 1000))
    assert AUTHORITY.verify(stored, TERMS, at) == Valid()


def test_the_reservation_is_never_rounded_down(permit: Permit) -> None:
    """Rounding in our favour would let the sum slip over a limit."""
    issued = AUTHORITY.issue(TERMS, D("1.000000001"), LIMITS, permit.verdicts, NOW)
    assert issued.reserved == D("1.00000001")


def test_without_a_time_the_authority_takes_its_own_clock(permit: Permit) -> None:
    """Replay brings another clock."""
    later = PermitAuthority(KEY, 10, FixedClock(NOW + timedelta(seconds=60)))
    late = later.verify(permit, TERMS)
    assert isinstance(late, Invalid)
    assert late.expired


@pytest.mark.parametrize("key", [b"", b"fifteen bytes..", None, "a text of many characters"])
def test_no_authority_without_a_key(key: Any) -> None:
    """An empty key would sign for everybody."""
    with pytest.raises(ConfigError, match=r"governor\.permit_key"):
        PermitAuthority(key, 10, FixedClock())


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf")])
def test_no_authority_without_a_lifetime(ttl_s: float) -> None:
    """A permit that lives for ever is a licence."""
    with pytest.raises(ConfigError, match=r"governor\.permit_ttl_s"):
        PermitAuthority(KEY, ttl_s, FixedClock())


@pytest.mark.parametrize("verdicts", [(), (CheckVerdict(CheckCode.RATE, ok=False, value="", limit=""),)])
def test_nothing_is_signed_that_a_rule_denies(verdicts: tuple[CheckVerdict, ...]) -> None:
    """The last line of defence against a caller that forgot to ask."""
    with pytest.raises(InvariantBroken):
        AUTHORITY.issue(TERMS, D(1), LIMITS, verdicts, NOW)


def test_the_key_does_not_show() -> None:
    """Objects end up in logs and stack traces."""
    assert KEY.decode() not in repr(AUTHORITY) + str(AUTHORITY)


def test_only_assess_asks_for_permits() -> None:
    """A second caller of `issue` would be a second way to an order."""
    root = Path(next(iter(pipeline.__path__)))
    callers = {
        source.relative_to(root).as_posix()
        for source in root.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "issue"
    }
    assert callers == {"governor/assess.py"}
