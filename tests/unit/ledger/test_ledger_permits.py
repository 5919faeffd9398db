"""A permit is issued once, used once, and counts while it may still be used."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.intents import Leg
from pipeline.domain.permits import PermitState
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import (
    ACCOUNT,
    BTC,
    ETH,
    NOW,
    SECOND,
    a_decision,
    a_permit,
    open_one,
    permitted,
)


def test_a_permit_is_read_back_equal_but_for_its_verdicts(ledger: SqlLedger) -> None:
    """Execution checks its signature over these values; the verdicts have their own table."""
    permit = a_permit(open_one(ledger))
    with ledger.begin() as unit:
        verdict = CheckVerdict(CheckCode.RATE, ok=True, value="1", limit="2")
        assert unit.permits.add(replace(permit, verdicts=(verdict,)))
    with ledger.read() as unit:
        found = unit.permits.of(permit.terms.decision_id, Leg.ENTRY)
        assert found == permit
        assert found.terms.hash() == permit.terms_hash
        assert unit.permits.of(permit.terms.decision_id) == permit
        assert unit.permits.of(permit.terms.decision_id, Leg.STOP) is None


def test_a_leg_gets_one_permit(ledger: SqlLedger) -> None:
    """A second validation of the same decision must not permit a second order."""
    permit = permitted(ledger)
    second = replace(permit, permit_id=type(permit.permit_id)("per_other"))
    with ledger.begin() as unit:
        assert not unit.permits.add(permit)
        assert not unit.permits.add(second)
        assert unit.permits.of(permit.terms.decision_id) == permit


def test_a_permit_is_used_once(ledger: SqlLedger) -> None:
    """Exactly one order for each permit."""
    permit = permitted(ledger)
    with ledger.begin() as unit:
        assert unit.permits.use(permit.permit_id, NOW + SECOND)
        assert not unit.permits.use(permit.permit_id, NOW + SECOND)
        assert not unit.permits.release(permit.permit_id)
        found = unit.permits.of(permit.terms.decision_id)
    assert found == replace(permit, state=PermitState.USED, used_at=NOW + SECOND)


def test_an_expired_permit_cannot_be_used(ledger: SqlLedger) -> None:
    """At the instant of its expiry it is expired."""
    permit = permitted(ledger)
    with ledger.begin() as unit:
        assert not unit.permits.use(permit.permit_id, permit.expires_at)
        assert unit.permits.of(permit.terms.decision_id) == permit


def test_a_released_permit_cannot_be_used(ledger: SqlLedger) -> None:
    """What was given back stays given back."""
    permit = permitted(ledger)
    with ledger.begin() as unit:
        assert unit.permits.release(permit.permit_id)
        assert not unit.permits.use(permit.permit_id, NOW)
        assert not unit.permits.release(permit.permit_id)


def test_only_permits_that_may_still_be_used_reserve(ledger: SqlLedger) -> None:
    """Used ones count as orders, expired and released ones not at all."""
    issued, used, released = (permitted(ledger, symbol) for symbol in ("A", "B", "C"))
    expired = replace(a_permit(open_one(ledger, "D")), expires_at=NOW + SECOND)
    other = a_permit(open_one(ledger, "E", account="paper:other"))
    with ledger.begin() as unit:
        unit.permits.use(used.permit_id, NOW)
        unit.permits.release(released.permit_id)
        assert unit.permits.add(expired)
        assert unit.permits.add(other)
        assert list(unit.permits.reserving(ACCOUNT, NOW + SECOND)) == [replace(issued, limits={})]


def test_the_budget_of_a_new_account_can_be_locked_at_once(ledger: SqlLedger) -> None:
    """And again, and together with another account's."""
    with ledger.begin() as unit:
        unit.permits.lock_budget(ACCOUNT)
        unit.permits.lock_budget(ACCOUNT)
        unit.permits.lock_budget("paper:other")


@pytest.mark.parametrize("wrong", [{"qty": Decimal(0)}, {"qty": Decimal(-1)}, {"limit_price": Decimal("-1")}])
def test_an_impossible_permit_is_refused(ledger: SqlLedger, wrong: dict[str, Any]) -> None:
    """The last line of defence is the table."""
    permit = a_permit(open_one(ledger))
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.permits.add(replace(permit, terms=replace(permit.terms, **wrong)))


def test_a_permit_without_its_decision_is_refused(ledger: SqlLedger) -> None:
    """Nothing hangs in the air."""
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.permits.add(a_permit(a_decision(ETH)))
    with ledger.read() as unit:
        assert unit.permits.of(a_decision(BTC).decision_id) is None
