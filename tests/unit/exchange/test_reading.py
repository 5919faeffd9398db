"""Binance's rows as values: exact, or refused."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.orders import OrderState
from pipeline.exchange import reading
from tests.unit.exchange.canned import NOON, told_order


@pytest.mark.parametrize("value", [0.1, None, True, [], "", "abc", "NaN", "Infinity"])
def test_what_carries_no_exact_number_is_refused(value: object) -> None:
    """A float has lost the number already."""
    with pytest.raises(reading.UNREADABLE):
        reading.exact(value)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_pass_unchanged_to_the_last_digit(number: Decimal) -> None:
    """Money is never rounded on its way in."""
    assert reading.exact(str(number)).as_tuple() == number.as_tuple()


@given(
    st.datetimes().map(lambda at: at.replace(tzinfo=NOON.tzinfo, microsecond=at.microsecond // 1000 * 1000))
)
def test_times_survive_the_way_to_milliseconds_and_back(at: object) -> None:
    """Float timestamps lose the last millisecond; integers do not."""
    assert isinstance(at, type(NOON))
    assert reading.instant(reading.to_milliseconds(at)) == at


def test_an_unfilled_order_has_no_average_price() -> None:
    """Binance writes 0.00, which is no price."""
    report = reading.report(told_order(status="EXPIRED", executedQty="0", avgPrice="0.00"))
    assert (report.state, report.avg_price) == (OrderState.EXPIRED, None)


def test_bars_that_are_no_numbers_become_nan_and_are_left_to_the_judge_of_bars() -> None:
    """B3: malformed bars are found by quality checks, which must get to see them."""
    rows = reading.bars([[1, "2.5", "x", None, "4", "5", "more"], [1, "2"], "no row"])
    assert rows[0][:2] == [1.0, 2.5]
    assert [math.isnan(cell) for cell in rows[0]] == [False, False, True, True, False, False]
    assert len(rows[1]) == 6
    assert len(rows) == 2


@pytest.mark.parametrize(("bid", "ask"), [("0", "1"), ("2", "1"), ("-1", "1"), ("", "1")])
def test_an_impossible_quote_is_refused(bid: str, ask: str) -> None:
    """It would become a reference price."""
    with pytest.raises(reading.UNREADABLE):
        reading.quote({"bidPrice": bid, "askPrice": ask, "time": 1})


def test_repeated_trades_are_told_once_and_oldest_first() -> None:
    """The exchange may list a trade twice, newest first."""
    rows = [_trade(2), _trade(1), _trade(2)]
    assert [trade.trade_id for trade in reading.trades(rows)] == ["1", "2"]


def test_an_asset_that_is_not_listed_is_an_empty_one() -> None:
    """Fail closed: no equity, no order."""
    assert reading.balance({"assets": []}, "USDT").equity == 0


def _trade(number: int) -> dict[str, object]:
    at = reading.to_milliseconds(NOON + timedelta(seconds=number))
    return {
        "id": number,
        "orderId": 1,
        "side": "BUY",
        "qty": "1",
        "price": "1",
        "commission": "0",
        "commissionAsset": "USDT",
        "time": at,
    }
