"""Funding and transfers: what changes a wallet without a trade."""

from __future__ import annotations

from decimal import Decimal

from simulator import funding
from tests.unit.simulator.exchange_worlds import START_MS, SYMBOL, Desk

D = Decimal
FUNDED_MS = funding.next_time(START_MS)


def minutes_to_funding() -> float:
    return (FUNDED_MS - START_MS) / 60_000


def test_a_long_pays_its_notional_times_the_rate_at_the_funding_time() -> None:
    """What a wallet loses over night must be what the real exchange would take."""
    desk = Desk([100.0])
    desk.order(qty=D(2))
    before = desk.account.wallet
    desk.wait(minutes_to_funding() + 1)
    paid = 2 * D(100) * funding.rate(SYMBOL, FUNDED_MS)
    assert before - desk.account.wallet == paid.quantize(D("0.00000001"))
    (row,) = [each for each in desk.account.incomes if each.kind == "FUNDING_FEE"]
    assert (row.at_ms, row.symbol, row.amount) == (FUNDED_MS, SYMBOL, -paid)


def test_a_short_receives_what_a_long_would_pay() -> None:
    """The rate has a sign, and so has the position."""
    assert funding.payment(D(-3), D(50), D("0.0001")) == D("0.015")
    assert funding.payment(D(3), D(50), D("0.0001")) == D("-0.015")


def test_a_clock_that_jumps_over_days_charges_each_funding_time_once() -> None:
    """Rehearsals turn the clock; each of the three times a day counts."""
    desk = Desk([100.0])
    desk.order(qty=D(1))
    desk.wait(3 * 24 * 60)
    charged = [each.at_ms for each in desk.account.incomes if each.kind == "FUNDING_FEE"]
    assert charged == list(funding.times(START_MS, desk.now_ms))
    assert len(charged) == 9


def test_who_holds_nothing_pays_nothing() -> None:
    """A flat account has no funding rows."""
    desk = Desk([100.0])
    desk.wait(24 * 60)
    assert desk.account.incomes == []


def test_a_transfer_is_in_the_wallet_and_in_its_statement() -> None:
    """So that a deposit explains a difference of balances."""
    desk = Desk()
    before = desk.account.wallet
    desk.engine.transfer(desk.account, D("-25.5"), desk.now_ms)
    assert desk.account.wallet == before - D("25.5")
    assert [(each.kind, each.amount) for each in desk.account.incomes] == [("TRANSFER", D("-25.5"))]
