from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from simulator import errors
from simulator.book import Book
from simulator.errors import ApiError, Refusal
from simulator.filters import check
from simulator.instruments import choose, make
from simulator.orders import OrderRequest
from tests.unit.simulator.exchange_worlds import START_MS, TEST, request

LAST = Decimal(100)
BOOK = Book(TEST, 1000, START_MS)


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (request(qty="0"), errors.QTY_BELOW_ZERO),
        (request(qty="-1"), errors.QTY_BELOW_ZERO),
        (request(qty="0.005"), errors.PRECISION),
        (request(qty="1.001"), errors.PRECISION),
        (request(qty="99999999"), errors.QTY_TOO_LARGE),
        (request(kind="LIMIT", price="0"), errors.PRICE_BELOW_ZERO),
        (request(kind="LIMIT", price="100.01"), errors.PRECISION),
        (request(kind="LIMIT", price="99999999"), errors.PRICE_TOO_HIGH),
        (request(kind="LIMIT", price="105.1"), errors.LIMIT_TOO_HIGH),
        (request(side="SELL", kind="LIMIT", price="94.9"), errors.LIMIT_TOO_LOW),
        (request(qty="0.04"), errors.MIN_NOTIONAL),
        (request(kind="LIMIT", qty="0.05", price="99"), errors.MIN_NOTIONAL),
        (request(kind="STOP_MARKET", side="SELL", trigger="0"), errors.STOP_BELOW_ZERO),
        (request(kind="STOP_MARKET", side="SELL", trigger="100"), errors.WOULD_TRIGGER),
        (request(kind="STOP_MARKET", side="BUY", trigger="99"), errors.WOULD_TRIGGER),
        (request(kind="TAKE_PROFIT_MARKET", side="SELL", trigger="99"), errors.WOULD_TRIGGER),
    ],
)
def test_an_order_that_breaks_a_filter_gets_its_code(wanted: OrderRequest, refusal: Refusal) -> None:
    """The pipeline classifies by these codes."""
    with pytest.raises(ApiError) as caught:
        check(wanted, TEST, LAST, BOOK)
    assert (caught.value.code, caught.value.status) == (refusal.code, 400)


@pytest.mark.parametrize(
    "wanted",
    [
        request(),
        request(qty="0.05"),
        request(qty="0.01", reduce_only=True),
        request(kind="LIMIT", price="105"),
        request(kind="LIMIT", side="SELL", price="200"),
        request(kind="LIMIT", price="50"),
        request(kind="STOP_MARKET", side="SELL", trigger="99.9"),
        request(kind="TAKE_PROFIT_MARKET", side="SELL", qty="0", trigger="130", close_position=True),
    ],
)
def test_an_order_inside_all_filters_passes(wanted: OrderRequest) -> None:
    """Limits away from the market may be as far as they like; reductions may be small."""
    check(wanted, TEST, LAST, BOOK)


def test_a_tick_that_is_no_power_of_ten_is_checked_as_a_multiple() -> None:
    """Some contracts move in steps of 0.5: enough digits alone are not enough."""
    halves = replace(TEST, tick=Decimal("0.5"))
    check(request(kind="LIMIT", price="99.5"), halves, LAST, BOOK)
    with pytest.raises(ApiError, match="-4014"):
        check(request(kind="LIMIT", price="99.3"), halves, LAST, BOOK)


def test_an_inactive_symbol_takes_no_orders() -> None:
    """A delisted symbol is still listed for a while."""
    with pytest.raises(ApiError, match="-4141"):
        check(request(), replace(TEST, active=False), LAST, BOOK)


def test_every_instrument_can_be_traded_with_small_money() -> None:
    """Ticks and steps must suit the price: the smallest allowed order costs far less than the account has."""
    for instrument in choose("60"):
        spread = float(instrument.tick / instrument.start_price)
        smallest = max(instrument.min_notional, instrument.min_qty * instrument.start_price)
        assert spread < 0.0015
        assert smallest <= 110
        assert instrument.start_price % instrument.tick == 0
        assert instrument.max_qty % instrument.step == 0
        assert instrument.max_qty * instrument.start_price > 1_000_000


def test_symbols_can_be_written_in_three_ways() -> None:
    """Whatever the configuration says works for the simulator as well."""
    names = [one.symbol for one in choose("btcusdt, ETH/USDT ,SOL/USDT:USDT,BTCUSDT")]
    assert names == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]


def test_beyond_the_well_known_symbols_come_invented_ones() -> None:
    """A thousand symbols can be rehearsed."""
    names = [one.symbol for one in choose("1000")]
    assert names[20] == "SIM021USDT"
    assert len(set(names)) == 1000
    assert make("SIM500USDT") == make("SIM500USDT")


@pytest.mark.parametrize("text", ["0", "99999", "", "BTC-PERP", "BTCEUR", ","])
def test_symbols_that_make_no_sense_are_named(text: str) -> None:
    """A typing error must not start an exchange without symbols."""
    with pytest.raises(errors.OptionsError, match="--symbols"):
        choose(text)


def test_an_inactive_symbol_is_added_when_it_is_not_among_the_chosen() -> None:
    """`--inactive LUNAUSDT` alone is enough to rehearse a delisted symbol."""
    listed = {one.symbol: one.active for one in choose("2", "LUNA/USDT,BTCUSDT")}
    assert listed == {"BTCUSDT": False, "ETHUSDT": True, "LUNAUSDT": False}
