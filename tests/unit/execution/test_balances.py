"""The wallet and the books: what the exchange's statement explains is booked, what nothing explains calls somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from pipeline.domain.decisions import Mode
from pipeline.domain.entries import Cause, Heading
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.outcomes import EndReason
from pipeline.domain.positions import Income
from pipeline.domain.reconciliation import Finding, Remedy, Subject
from pipeline.domain.signals import Side
from pipeline.execution.balances import Wallets
from pipeline.execution.reconciling import Reconciler
from tests.unit.execution.order_worlds import ACCOUNT, BTC, OrderWorld, decision, intent

D = Decimal


def opened() -> OrderWorld:
    """A world whose books were opened, and that has bought."""
    world = OrderWorld()
    assert compare(world) == []
    world.pass_time(1)
    world.place()
    return world


def compare(world: OrderWorld, tolerance: str = "0") -> Sequence[Finding]:
    return list(Wallets(world.ledger, world.venue, ACCOUNT, tolerance=D(tolerance)).compare())


def pays(world: OrderWorld, kind: str, amount: str, number: int = 1, **changes: str) -> None:
    """The exchange changes the wallet, and says so."""
    row = Income(
        kind=kind,
        income_id=str(number),
        symbol="",
        trade_id="",
        amount=D(amount),
        asset="USDT",
        occurred_at=world.clock.now(),
    )
    world.venue.paid.append(replace(row, **changes))  # type: ignore[arg-type]  # names of its own fields


def balance(world: OrderWorld, heading: Heading) -> Decimal:
    with world.ledger.read() as unit:
        return unit.journal.balance(ACCOUNT, "USDT").of(heading)


def test_the_first_look_opens_the_books_and_fills_keep_them_equal() -> None:
    """What was there before us is capital; nothing of it is profit."""
    world = opened()
    assert compare(world) == []
    assert -balance(world, Heading.CAPITAL) == world.venue.balance
    assert balance(world, Heading.FEES) == D("600") * world.venue.fee_rate
    with world.ledger.read() as unit:
        assert unit.journal.balance(ACCOUNT, "USDT").wallet == world.venue.equity().wallet


def test_funding_is_booked_as_the_statement_tells_it_and_only_once() -> None:
    """Three times a day, and asked for whenever the wallet differs."""
    world = opened()
    pays(world, "FUNDING_FEE", "-0.06", symbol=BTC)
    (found,) = compare(world)
    assert (found.subject, found.symbol, found.remedy) == (Subject.BALANCE, BTC, Remedy.BOOKED)
    assert "funding fee of -0.06 USDT" in found.what
    assert compare(world) == []
    assert balance(world, Heading.FUNDING) == D("0.06")


def test_a_deposit_is_capital_and_no_profit() -> None:
    """Otherwise a deposit would look like a good day."""
    world = opened()
    pays(world, "TRANSFER", "250")
    assert [each.remedy for each in compare(world)] == [Remedy.BOOKED]
    assert (balance(world, Heading.CAPITAL), balance(world, Heading.PROFIT)) == (D(-10250), D(0))


def test_what_nothing_explains_is_named_and_blocks_until_somebody_accepts_it() -> None:
    """Money that vanished from an account is nobody's rounding."""
    world = opened()
    world.venue.balance -= 3
    (found,) = compare(world)
    assert found.blocks
    assert "-3 is not explained" in found.what
    assert compare(world) == [found]
    assert Wallets(world.ledger, world.venue, ACCOUNT).accept("a withdrawal of mine") == -3
    assert compare(world) == []
    with world.ledger.read() as unit:
        (newest, *_) = unit.journal.latest(ACCOUNT, 10)
    assert (newest.cause, newest.detail) == (Cause.ACCEPTED, "a withdrawal of mine")


def test_a_difference_within_the_tolerance_is_told_and_does_not_block() -> None:
    """An exchange whose statement leaves out a cent must not stop a day's trading."""
    world = opened()
    world.venue.balance -= D("0.01")
    assert [each.remedy for each in compare(world, tolerance="0.01")] == [Remedy.TOLD]
    assert [each.remedy for each in compare(world, tolerance="0.009")] == [Remedy.ESCALATED]


def test_what_the_statement_does_not_tell_yet_calls_nobody() -> None:
    """A real exchange pays funding on the hour and lists it a little later; a stop fills while we look."""
    world = opened()
    world.venue.mode = Mode.LIVE
    world.venue.balance -= 3
    assert compare(world) == []
    world.pass_time(120)
    assert [each.remedy for each in compare(world)] == [Remedy.ESCALATED]
    sold = replace(world.order, client_order_id=ClientOrderId("f" * 32), side=Side.SELL, limit_price=D(50000))
    world.venue.submit(replace(sold, sent_at=world.clock.now()), world.permit)
    assert compare(world) == []


def test_trades_that_are_none_of_ours_are_named_with_what_they_cost() -> None:
    """Somebody trades by hand on the same account, and is flat again: no position shows it."""
    world = opened()
    pays(world, "REALIZED_PNL", "-7.5", symbol=BTC, trade_id="theirs")
    assert compare(world) == []  # it may be one of ours that is not listed yet
    world.pass_time(timedelta(minutes=3).total_seconds())
    (found,) = compare(world)
    assert found.blocks
    assert f"trades that are none of ours, on {BTC}, come to -7.5" in found.what


def test_a_position_from_before_the_books_comes_in_at_its_cost() -> None:
    """An upgraded ledger: closing it later leaves nothing under `position`."""
    world = OrderWorld()
    world.place()
    with world.ledger.begin() as unit:
        for table in ("entries", "balances"):
            unit._connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - our own names
        unit.decisions.end(world.decision.decision_id, EndReason.FILLED, "", world.clock.now())
    assert compare(world) == []
    assert balance(world, Heading.POSITION) == 600
    closing = decision("closing")
    sale = intent(side=Side.SELL, limit_price=D("59900.0"), reduce_only=True)
    world.router.place(closing, sale, world.permitted(closing, sale))
    assert compare(world) == []
    assert (world.held, balance(world, Heading.POSITION)) == (D(0), D(0))


def test_rows_from_before_the_books_are_in_their_opening() -> None:
    """The statement reaches back for months."""
    world = OrderWorld()
    pays(world, "TRANSFER", "10000")
    world.pass_time(60)
    assert compare(world) == []
    pays(world, "FUNDING_FEE", "0.01", number=2)
    world.pass_time(1)
    pays(world, "FUNDING_FEE", "0.02", number=3)
    assert len(compare(world)) == 2
    assert balance(world, Heading.CAPITAL) == -20_000


def test_nothing_is_compared_while_an_order_is_under_way() -> None:
    """Its fee is in the wallet and not yet in the books."""
    world = OrderWorld()
    assert compare(world) == []
    world.venue.trades_late_by = timedelta(hours=1)
    world.place()
    assert world.venue.equity().wallet < world.venue.balance
    assert compare(world) == []


def test_books_that_do_not_come_to_zero_block() -> None:
    """A damaged ledger must not trade on, even when the wallet happens to agree."""
    world = opened()
    with world.ledger.begin() as unit:
        unit._connection.exec_driver_sql("UPDATE balances SET fees = '1'")
    (found,) = compare(world)
    assert found.blocks
    assert "not to 0" in found.what
    assert [each.remedy for each in Wallets(world.ledger, world.venue, ACCOUNT).audit()] == [Remedy.ESCALATED]


def test_reconciliation_has_the_wallet_in_it() -> None:
    """E6: orders, fills, positions and balances."""
    world = opened()
    world.venue.balance += 1
    found = Reconciler(world.ledger, world.venue, world.clock, world.events, ACCOUNT).run()
    assert [each.subject for each in found] == [Subject.BALANCE]
