"""Order terms: two spellings of one order have one hash, two orders never do."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.permits import normal

numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**12, places=12)


@pytest.mark.parametrize(
    ("number", "text"),
    [("0.10", "0.1"), ("1E+3", "1000"), ("100", "100"), ("5.000", "5"), ("0.00", "0")],
)
def test_each_number_has_one_spelling(number: str, text: str) -> None:
    """What the exchange is sent and what the permit binds must be the same text."""
    assert normal(Decimal(number)) == text


@given(number=numbers, other=numbers)
def test_two_numbers_share_a_spelling_only_if_they_are_equal(number: Decimal, other: Decimal) -> None:
    """A permit for one quantity must never cover another."""
    assert (normal(number) == normal(other)) == (number == other)


def test_a_number_of_many_digits_is_not_rounded() -> None:
    """Beyond 28 digits the decimal context would round, and two orders would look alike."""
    long = "1234567890123456789012345678.901"
    assert normal(Decimal(long)) == long
