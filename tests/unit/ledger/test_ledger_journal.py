"""The journal: entries that only grow, and balances that are always their sum."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.decisions import Mode
from pipeline.domain.entries import Cause, Entry, Heading, Transaction
from pipeline.domain.ids import PositionId
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import ACCOUNT, NOW, SECOND, a_position, open_one

D = Decimal


def a_transaction(name: str = "t1", amount: str = "25.5", **changes: object) -> Transaction:
    moved = (
        Entry(Heading.CASH, "USDT", D(amount)),
        Entry(Heading.CAPITAL, "USDT", -D(amount)),
    )
    transaction = Transaction(
        transaction_id=name,
        account=ACCOUNT,
        mode=Mode.PAPER,
        cause=Cause.TRANSFER,
        symbol="",
        occurred_at=NOW,
        recorded_at=NOW + SECOND,
        entries=moved,
        detail="TRANSFER",
    )
    return replace(transaction, **changes)  # type: ignore[arg-type]  # names of its own fields


def test_a_transaction_is_booked_once_and_read_back_as_it_was(ledger: SqlLedger) -> None:
    """Funding is told again with every statement."""
    told = a_transaction()
    with ledger.begin() as unit:
        assert unit.journal.post(told)
        assert not unit.journal.post(told)
        assert unit.journal.get("t1") == told
        assert unit.journal.balance(ACCOUNT, "USDT").wallet == D("25.5")
        assert unit.journal.balance("paper:other", "USDT").wallet == 0


def test_assets_and_accounts_have_balances_of_their_own(ledger: SqlLedger) -> None:
    """BNB is no USDT, and paper is not live."""
    fee = (Entry(Heading.CASH, "BNB", D("-0.1")), Entry(Heading.FEES, "BNB", D("0.1")))
    with ledger.begin() as unit:
        unit.journal.post(a_transaction())
        unit.journal.post(a_transaction("t2", entries=fee))
        unit.journal.post(a_transaction("t3", account="live:main", mode=Mode.LIVE))
        found = unit.journal.balances(ACCOUNT)
        assert [(each.asset, each.of(Heading.CASH), each.total) for each in found] == [
            ("BNB", D("-0.1"), D(0)),
            ("USDT", D("25.5"), D(0)),
        ]
        assert unit.journal.problems(ACCOUNT) == []


def test_the_latest_transactions_come_whole(ledger: SqlLedger) -> None:
    """One that the limit cuts in two is left out."""
    with ledger.begin() as unit:
        for number in range(3):
            unit.journal.post(a_transaction(f"t{number}", occurred_at=NOW + number * SECOND))
        assert [each.transaction_id for each in unit.journal.latest(ACCOUNT, 5)] == ["t2", "t1"]


def test_a_position_from_before_the_books_is_unbooked(ledger: SqlLedger) -> None:
    """An upgraded ledger opens its books with what it holds."""
    position = a_position(open_one(ledger))
    cost = (
        Entry(Heading.CASH, "USDT", D(-5)),
        Entry(Heading.POSITION, "USDT", D(5), PositionId(position.position_id)),
    )
    with ledger.begin() as unit:
        unit.positions.save(position)
        assert list(unit.journal.unbooked(ACCOUNT)) == [position]
        unit.journal.post(a_transaction(entries=cost))
        assert list(unit.journal.unbooked(ACCOUNT)) == []


@given(st.lists(st.decimals("-1000", "1000", places=8), max_size=8))
def test_balances_are_the_sum_of_their_entries_whatever_is_booked(told: list[Decimal]) -> None:
    """To the last digit, on a database that knows no decimals."""
    ledger = memory_ledger()
    with ledger.begin() as unit:
        for number, amount in enumerate(told):
            unit.journal.post(a_transaction(f"t{number}", str(amount)))
        assert unit.journal.balance(ACCOUNT, "USDT").wallet == sum(told, D(0))
        assert unit.journal.problems(ACCOUNT) == []


def test_books_that_somebody_has_changed_are_found_out() -> None:
    """A row edited by hand, a restored half of a database."""
    ledger = memory_ledger()
    with ledger.begin() as unit:
        unit.journal.post(a_transaction())
    with ledger.begin() as unit:
        unit._connection.exec_driver_sql("UPDATE entries SET amount = '26' WHERE line = 1")
    with ledger.read() as unit:
        assert unit.journal.problems(ACCOUNT) == [
            "transaction t1: its USDT sums to 0.5, not to 0",
            "cash of USDT: the balance says 25.5, its entries sum to 26",
        ]
