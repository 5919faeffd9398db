"""Positions: whatever order fills come in, what they add up to is exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.decisions import Mode
from pipeline.domain.ids import ClientOrderId, DecisionId, position_id
from pipeline.domain.orders import Fill
from pipeline.domain.positions import Position, book
from pipeline.domain.signals import Side

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
amounts = st.decimals("0.001", "1000", places=3)


def fill(side: Side, qty: Decimal | str, price: Decimal | str, decision: str = "dec_a") -> Fill:
    return Fill(
        exchange="sim",
        symbol="BTC/USDT:USDT",
        trade_id="1",
        client_order_id=ClientOrderId("c"),
        decision_id=DecisionId(decision),
        account="paper-main",
        side=side,
        qty=Decimal(qty),
        price=Decimal(price),
        fee=Decimal(qty) * Decimal(price) * Decimal("0.0004"),
        fee_asset="USDT",
        slippage_bps=Decimal(0),
        occurred_at=NOON,
        recorded_at=NOON,
    )


fills = st.builds(fill, st.sampled_from(Side), amounts, amounts)


def booked(*told: Fill) -> list[Position]:
    """Every position, closed ones first, after these fills in this order."""
    closed: list[Position] = []
    held: Position | None = None
    for each in told:
        changed = book(held, each, Mode.PAPER)
        closed += [position for position in changed if not position.is_open]
        held = next((position for position in changed if position.is_open), None)
    return [*closed, *([held] if held else [])]


def test_adding_fills_averages_the_entry_by_quantity() -> None:
    (position,) = booked(fill(Side.BUY, "1", "100"), fill(Side.BUY, "3", "200"))
    assert (position.qty, position.entry_price) == (Decimal(4), Decimal(175))


def test_closing_a_short_realises_what_it_fell() -> None:
    (position,) = booked(fill(Side.SELL, "2", "100"), fill(Side.BUY, "2", "90", "dec_b"))
    assert position.realised_pnl == Decimal(20)
    assert (position.opened_by, position.closed_by) == ("dec_a", "dec_b")


def test_a_fill_larger_than_the_position_closes_it_and_opens_the_other_side() -> None:
    """Somebody's hand may do it; the ledger must not lose a unit."""
    closed, opened = booked(fill(Side.BUY, "1", "100"), fill(Side.SELL, "3", "110", "dec_b"))
    assert (closed.realised_pnl, closed.qty) == (Decimal(10), Decimal(0))
    assert (opened.side, opened.qty, opened.entry_price) == (Side.SELL, Decimal(2), Decimal(110))


def test_each_position_that_a_decision_opens_has_a_name_of_its_own() -> None:
    """And the same one each time: the first by the decision alone."""
    told = fill(Side.BUY, "1", "100")
    names = [book(None, told, Mode.PAPER, earlier)[0].position_id for earlier in (0, 1, 2, 0, 1)]
    assert names[:2] == names[3:]
    assert len(set(names)) == 3
    assert names[0] == position_id(told.account, told.symbol, told.decision_id)


@given(told=st.lists(fills, min_size=1, max_size=12))
def test_quantity_and_fees_add_up_to_the_fills(told: list[Fill]) -> None:
    """Nothing is made and nothing is lost, whatever the sequence."""
    positions = booked(*told)
    assert sum((p.signed_qty for p in positions), Decimal(0)) == sum(
        (f.qty * f.side.sign for f in told), Decimal(0)
    )
    paid = sum((p.fees for p in positions), Decimal(0)) - sum((f.fee for f in told), Decimal(0))
    assert abs(paid) < Decimal("1e-18")


@given(told=st.lists(fills, min_size=1, max_size=12))
def test_profit_is_what_the_cash_flow_says(told: list[Fill]) -> None:
    """Realised profit plus the value still held equals money in minus money out, at the last entry price."""
    positions = booked(*told)
    cash = sum((-f.side.sign * f.qty * f.price for f in told), Decimal(0))
    held = sum((p.signed_qty * p.entry_price for p in positions if p.is_open), Decimal(0))
    realised = sum((p.realised_pnl for p in positions), Decimal(0))
    assert abs(cash + held - realised) < Decimal("1e-12")


def test_booking_changes_no_position_in_place() -> None:
    """Change a copy, then swap it in."""
    (before,) = booked(fill(Side.BUY, "1", "100"))
    kept = replace(before)
    book(before, fill(Side.SELL, "1", "120"), Mode.PAPER)
    assert before == kept
