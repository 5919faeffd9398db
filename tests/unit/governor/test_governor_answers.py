"""How a rule spells its numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.governor.rules.answers import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("60000.0", "60000"),
        ("0.00", "0"),
        ("-0.002", "-0.002"),
        ("0.0000125", "0.0000125"),
        ("1234.56789012345", "1234.56789012"),
        ("999999999999.9", "999999999999.9"),
        ("1E+3", "1000"),
        ("1E+30", "1e+30"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ],
)
def test_a_number_is_spelt_for_people(value: str, text: str) -> None:
    """Twelve digits tell why an order was denied; zeros at the end tell nothing."""
    assert number(Decimal(value)) == text


@given(st.decimals(-(10**17), 10**17, places=8))
def test_no_spelling_is_further_off_than_its_twelfth_digit(value: Decimal) -> None:
    """Short numbers take a shorter way to the same text."""
    spelt = Decimal(number(value))
    assert abs(spelt - value) <= Decimal(1).scaleb(max(value.adjusted(), -9) - 11)
    assert spelt == value or len(value.as_tuple().digits) > 12
