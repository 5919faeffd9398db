"""Instruments: found by any usual spelling, rounded only in the direction that the name says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.errors import UnknownSymbol
from pipeline.domain.instruments import Instrument, Instruments

numbers = st.decimals("0.0000001", "1000000", places=7)
steps = st.sampled_from([Decimal(text) for text in ("0.001", "0.5", "1", "0.0001", "10", "0.25")])


def instrument(base: str = "BTC", step: Decimal = Decimal("0.001")) -> Instrument:
    return Instrument(
        symbol=f"{base}/USDT:USDT",
        market_id=f"{base}USDT",
        base=base,
        quote="USDT",
        price_tick=step,
        qty_step=step,
        min_qty=step,
        max_qty=Decimal(1000),
        min_notional=Decimal(5),
    )


KNOWN = Instruments.of([instrument("BTC"), instrument("ETH"), instrument("1000PEPE")])


@pytest.mark.parametrize(
    "name", ["BTC/USDT:USDT", "BTCUSDT", "btcusdt", "BTC/USDT", " btc/usdt ", "btc-usdt"]
)
def test_any_usual_spelling_finds_the_instrument(name: str) -> None:
    assert KNOWN.find(name).symbol == "BTC/USDT:USDT"


def test_an_unknown_symbol_comes_with_the_nearest_known_spelling() -> None:
    """Incident I5: fifty symbols of which none existed, and nobody was told."""
    with pytest.raises(UnknownSymbol, match="did you mean BTC/USDT:USDT") as caught:
        KNOWN.find("BTXUSDT")
    assert caught.value.nearest == "BTC/USDT:USDT"


@given(value=numbers, step=steps)
def test_rounding_goes_only_the_way_it_says_and_less_than_one_step(value: Decimal, step: Decimal) -> None:
    """A buy's bound that went up would pay more than was allowed."""
    on = instrument(step=step)
    assert value - step < on.round_qty_down(value) <= value
    assert value - step < on.round_price_down(value) <= value
    assert value <= on.round_price_up(value) < value + step
    assert abs(on.round_price_nearest(value) - value) <= step / 2


@given(value=numbers, step=steps)
def test_a_rounded_number_lies_on_the_grid(value: Decimal, step: Decimal) -> None:
    assert instrument(step=step).round_qty_down(value) % step == 0
