"""The books against the simulated exchange's own account, over real HTTP: equal to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest

from pipeline.domain.decisions import End
from pipeline.domain.entries import Heading
from pipeline.domain.outcomes import EndReason
from pipeline.domain.reconciliation import Remedy
from pipeline.domain.signals import Side
from pipeline.execution.balances import Wallets
from pipeline.execution.router import OrderRouter
from tests.integration.exchange_worlds import Rehearsal, a_decision, as_order
from tests.integration.test_order_recipe import QUICK, Trading, permitted
from tests.support.servers import Simulator

pytestmark = pytest.mark.xdist_group("books")
D = Decimal


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    """An exchange of its own: its clock is turned."""
    running = Simulator("--seed", "11")
    yield running
    running.stop()


class Desk(Trading):
    """Somebody who trades, and compares."""

    def trade(self, side: Side, qty: str) -> None:
        decision = a_decision(self.clock.now())
        wanted = self.face.intent(side, qty)
        _, permit = as_order(wanted, decision, self.clock.now())
        with self.ledger.begin() as unit:
            unit.decisions.open(decision)
            unit.permits.add(permit)
        router = OrderRouter(self.ledger, self.venue, self.clock, permitted, QUICK, self.events)
        ending = router.place(decision, wanted, permit)
        assert isinstance(ending, End)
        assert ending.reason is EndReason.FILLED, ending
        with self.ledger.begin() as unit:
            unit.decisions.end(decision.decision_id, ending.reason, "", self.clock.now())

    def compare(self) -> list[str]:
        found = Wallets(self.ledger, self.venue, "test").compare()
        assert all(each.remedy is Remedy.BOOKED for each in found), found
        return [each.what.split(" of ")[0] for each in found]

    def account(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self.rehearsal.call("GET", f"/_sim/accounts/{self.rehearsal.key}"))

    def book(self, heading: Heading) -> Decimal:
        with self.ledger.read() as unit:
            return unit.journal.balance("test", "USDT").of(heading)

    @property
    def wallet(self) -> Decimal:
        with self.ledger.read() as unit:
            return unit.journal.balance("test", "USDT").wallet


def test_wallet_fees_profit_and_funding_equal_the_exchanges_account_to_the_last_digit(
    server: Simulator,
) -> None:
    """E7: long, more of it, part of it sold, turned around to short; funding over two days; a deposit."""
    desk = Desk(Rehearsal(server))
    with desk.ledger.begin() as unit:
        unit.decisions.end(desk.decision.decision_id, EndReason.UNFILLED, "", desk.clock.now())
    assert desk.compare() == []
    for side, qty in ((Side.BUY, "0.011"), (Side.BUY, "0.007"), (Side.SELL, "0.005"), (Side.SELL, "0.03")):
        desk.trade(side, qty)
        theirs = desk.account()
        assert desk.wallet == D(theirs["wallet_balance"])
    assert desk.compare() == []
    desk.rehearsal.call("POST", "/_sim/clock", {"advance_s": 2 * 24 * 3600})
    desk.rehearsal.call("POST", "/_sim/transfers", {"api_key": desk.rehearsal.key, "amount": "123.45"})
    desk.venue.clock_offset()
    assert sorted(desk.compare()) == ["funding fee"] * 6 + ["transfer"]
    desk.trade(Side.BUY, "0.017")
    theirs = desk.account()
    assert theirs["positions"] == []
    assert desk.wallet == D(theirs["wallet_balance"]) == desk.venue.equity().wallet
    assert desk.book(Heading.FEES) == D(theirs["fees"])
    assert -desk.book(Heading.PROFIT) == D(theirs["realised_pnl"]) != 0
    assert -desk.book(Heading.FUNDING) == D(theirs["funding"]) != 0
    assert -desk.book(Heading.CAPITAL) == D(theirs["deposited"]) + D("123.45")
    assert desk.book(Heading.POSITION) == 0
    assert desk.compare() == []
    with desk.ledger.read() as unit:
        assert unit.journal.problems("test") == []
