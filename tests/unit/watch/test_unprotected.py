"""A position without its stop is named, once the protector has had its chance."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pipeline.domain.decisions import Mode
from pipeline.domain.ids import DecisionId, PositionId
from pipeline.domain.intents import Leg, OrderType
from pipeline.domain.levels import Finding, LevelCode, Severity
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side
from tests.unit.ledger.ledger_worlds import a_decision, a_permit, an_order
from tests.unit.watch.looks import ACCOUNT, BTC, ETH, a_book, ago, ladder


def long_btc(opened_at: datetime, qty: str = "0.5") -> Position:
    return Position(
        position_id=PositionId("pos_1"),
        account=ACCOUNT,
        mode=Mode.PAPER,
        symbol=BTC,
        side=Side.BUY,
        qty=Decimal(qty),
        entry_price=Decimal(60_000),
        realised_pnl=Decimal(0),
        fees=Decimal(0),
        opened_by=DecisionId("dec_1"),
        opened_at=opened_at,
    )


def guard(leg: Leg, symbol: str = BTC, state: OrderState = OrderState.ACKED) -> Order:
    kind = OrderType.STOP_MARKET if leg is Leg.STOP else OrderType.TAKE_PROFIT_MARKET
    permit = a_permit(a_decision(), leg)
    return an_order(permit, account=ACCOUNT, symbol=symbol, type=kind, state=state)


def unprotected(position: Position, *orders: Order) -> list[Finding]:
    book = a_book(positions=[position], unsettled=list(orders))
    checked = ladder(book=book)
    found = [finding for each in checked for finding in each.answer.findings]
    return [each for each in found if each.code is LevelCode.POSITION_UNPROTECTED]


def test_a_position_without_a_stop_is_found_and_says_what_stands_open() -> None:
    """The one trouble in which every second may cost money."""
    (finding,) = unprotected(long_btc(ago(9)))
    assert finding.subject == BTC
    assert finding.detail == f"long 0.5 {BTC} (30,000.00 USDT), opened 9 s ago, has no stop on the exchange"
    assert finding.evidence == ("pos_1",)
    assert finding.severity is None


def test_neither_a_target_nor_anothers_stop_nor_one_that_was_only_sent_protects_it() -> None:
    """Only a stop that the exchange has acknowledged is one."""
    others = (guard(Leg.TARGET), guard(Leg.STOP, ETH), guard(Leg.STOP, state=OrderState.SENDING))
    assert unprotected(long_btc(ago(9)), *others)
    assert not unprotected(long_btc(ago(9)), *others, guard(Leg.STOP))


def test_a_position_that_has_just_opened_is_left_to_the_protector() -> None:
    """A false alarm after each entry would teach people to look away."""
    assert not unprotected(long_btc(ago(7)))


def test_what_is_worth_nearly_nothing_wakes_nobody() -> None:
    """A remainder may be too little to be ordered at all: no stop can be placed for it."""
    (finding,) = unprotected(long_btc(ago(9), qty="0.0001"))
    assert finding.severity is Severity.NOTICE
