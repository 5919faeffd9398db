"""What a fill is in the books: whatever fills come, each transaction is zero, and the wallet is what was earned."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.decisions import Mode
from pipeline.domain.entries import ZERO, Balance, Cause, Entry, Heading, Transaction
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import DecisionId
from pipeline.domain.orders import Fill
from pipeline.domain.positions import Position, book, settled_in
from pipeline.domain.signals import Side
from pipeline.execution.postings import CENT, of_fill
from tests.unit.domain.test_positions import NOON, fill, fills

D = Decimal


class Books:
    """One symbol's fills, booked in turn."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.held: Position | None = None
        self.positions: dict[str, Position] = {}

    def take(self, told: Fill, realised: Decimal | None = None) -> Transaction:
        before, after = self.held, book(self.held, told, Mode.PAPER)
        self.held = next((each for each in after if each.is_open), None)
        self.positions |= {each.position_id: each for each in after}
        self.transactions.append(of_fill(told, Mode.PAPER, before, after, realised))
        return self.transactions[-1]

    def sum(self, heading: Heading, asset: str = "USDT") -> Decimal:
        entries = (each for transaction in self.transactions for each in transaction.entries)
        return sum((each.amount for each in entries if (each.heading, each.asset) == (heading, asset)), ZERO)

    @property
    def wallet(self) -> Decimal:
        return Balance(account="", asset="USDT", amounts={each: self.sum(each) for each in Heading}).wallet


def amounts(transaction: Transaction) -> dict[Heading, Decimal]:
    return {each.heading: each.amount for each in transaction.entries}


def test_opening_turns_cash_into_a_position_and_a_fee() -> None:
    """The wallet falls by the fee alone."""
    books = Books()
    told = books.take(fill(Side.BUY, "2", "100"))
    assert amounts(told) == {
        Heading.CASH: D("-200.08"),
        Heading.POSITION: D(200),
        Heading.FEES: D("0.08"),
    }
    assert books.wallet == D("-0.08")


def test_closing_a_short_with_a_profit_pays_it_into_the_wallet() -> None:
    """(100 - 90) x 2, less both fees."""
    books = Books()
    books.take(fill(Side.SELL, "2", "100"))
    books.take(fill(Side.BUY, "2", "90"))
    assert books.sum(Heading.PROFIT) == -20
    assert books.sum(Heading.POSITION) == 0
    assert books.wallet == 20 - D("0.08") - D("0.072")


def test_the_wallet_moves_by_the_exchanges_figure_of_a_profit() -> None:
    """It rounds; the difference is kept, so that nothing is lost and the wallet is equal to the last digit."""
    books = Books()
    books.take(fill(Side.BUY, "0.003", "0.1"))
    books.take(fill(Side.SELL, "0.003", "0.2"), realised=D("0.00029999"))
    assert books.sum(Heading.ROUNDING) == D("0.00000001") * -1
    assert books.wallet == D("0.00029999") - books.sum(Heading.FEES)


def test_a_fee_in_another_asset_stays_in_its_own_books() -> None:
    """BNB pays fees on Binance; nobody may add it to USDT."""
    books = Books()
    books.take(replace(fill(Side.BUY, "1", "100"), fee=D("0.0001"), fee_asset="BNB"))
    assert (books.sum(Heading.FEES, "BNB"), books.sum(Heading.CASH, "BNB")) == (D("0.0001"), D("-0.0001"))
    assert books.wallet == 0


@given(st.lists(fills, min_size=1, max_size=12))
def test_whatever_fills_come_the_books_agree_with_the_positions(told: list[Fill]) -> None:
    """Sums to zero, held at cost, profit and fees as the positions have them: turning around included."""
    books = Books()
    for number, each in enumerate(told):
        books.take(replace(each, trade_id=str(number), decision_id=DecisionId(f"dec_{number}")))
    assert sum((books.sum(heading) for heading in Heading), ZERO) == 0
    held = books.held.signed_qty * books.held.entry_price if books.held is not None else ZERO
    assert abs(books.sum(Heading.POSITION) - held) <= CENT
    positions = books.positions.values()
    realised = sum((each.realised_pnl for each in positions), ZERO)
    assert abs(-books.sum(Heading.PROFIT) - realised) <= CENT * len(told)
    assert abs(books.sum(Heading.FEES) - sum((each.fee for each in told), ZERO)) == 0
    assert abs(books.sum(Heading.ROUNDING)) <= CENT * 2 * len(told)
    if books.held is None:
        assert books.sum(Heading.POSITION) == 0


def test_a_transaction_that_is_not_zero_cannot_be_made() -> None:
    """Money neither appears nor vanishes."""
    with pytest.raises(InvariantBroken, match="sums to 1, not to 0"):
        Transaction(
            transaction_id="t",
            account="a",
            mode=Mode.PAPER,
            cause=Cause.TRANSFER,
            symbol="",
            occurred_at=NOON,
            recorded_at=NOON,
            entries=(Entry(Heading.CASH, "USDT", D(2)), Entry(Heading.CAPITAL, "USDT", D(-1))),
        )


def test_profit_is_paid_in_the_asset_behind_the_colon() -> None:
    """Perpetuals name it there; a pair of the spot market in its second half."""
    assert (settled_in("BTC/USDT:USDT"), settled_in("ETH/USDC")) == ("USDT", "USDC")
