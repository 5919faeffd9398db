from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulator.clock import MINUTE_MS
from tests.unit.simulator.exchange_worlds import SYMBOL, Desk

EVENTS = st.lists(
    st.sampled_from(["buy", "sell", "rest above", "rest below", "cancel", "leverage", "pay", "wait"]),
    max_size=12,
)


def happen(desk: Desk, event: str) -> None:
    """One thing that changes what is available."""
    if event in {"buy", "sell"}:
        desk.order(side=event.upper(), qty="3")
    elif event.startswith("rest"):
        above = event == "rest above"
        desk.order(side="SELL" if above else "BUY", kind="LIMIT", price="100.8" if above else "98.5", qty="2")
    elif event == "cancel":
        desk.engine.cancel_all(desk.account, SYMBOL, desk.now_ms)
    elif event == "leverage":
        desk.account.set_leverage(SYMBOL, 125 if desk.account.leverage(SYMBOL) != 125 else 3)
    elif event == "pay":
        desk.engine.transfer(desk.account, Decimal(-7), desk.now_ms)
    else:
        desk.wait(0.3)


@given(EVENTS)
def test_there_is_never_less_available_than_the_cushion_says(events: list[str]) -> None:
    """It takes orders without a look at the margin: one too many would be an order that no exchange takes."""
    desk = Desk([100, 101, 98, 99.5, 102, 100])
    for event in events:
        happen(desk, event)
        least = desk.engine.cushion(desk.account).least(desk.now_ms)
        for at_ms in range(desk.now_ms, (desk.now_ms // MINUTE_MS + 1) * MINUTE_MS, 7_001):
            assert least < desk.engine.margin(desk.account, at_ms).available


@given(EVENTS)
@example(["rest above", *["wait"] * 6])
def test_a_cushion_that_went_along_says_what_a_new_one_says(events: list[str]) -> None:
    """What changed and was not noticed would stay wrong until the minute is over."""
    desk = Desk([100, 101, 98, 99.5, 102, 100])
    cushion = desk.engine.cushion(desk.account)
    for event in events:
        happen(desk, event)
        told = cushion.least(desk.now_ms)
        assert told == pytest.approx(type(cushion)(desk.account, desk.market).least(desk.now_ms))


def test_an_order_that_only_the_exact_margin_covers_is_taken() -> None:
    """The cushion is a quick yes, never a no."""
    desk = Desk(balance="100")
    desk.order(qty="19.8")
    assert desk.held == Decimal("19.8")
