"""The bytes of stored candles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.market.encoding import HEADER, Stored, decode, encode
from pipeline.strategies.candles import Candles
from tests.unit.market.candle_worlds import as_rows, candles, newest_rows


def stored(count: int = 20) -> bytes:
    return encode(Stored(candles(newest_rows(count)), 1_760_000_000_123), 60)


@pytest.mark.parametrize("count", [0, 1, 2, 200])
def test_what_was_encoded_is_decoded_bit_for_bit(count: int) -> None:
    """The store must not round a price."""
    bars = candles(newest_rows(count))
    decoded = decode(encode(Stored(bars, 5), 60), 60)
    assert as_rows(decoded.candles) == as_rows(bars)
    assert (decoded.problem, decoded.written_at_ms) == ("", 5)


def test_decoded_columns_are_aligned_read_only_views() -> None:
    """No copy is made, and no strategy can change what another one reads."""
    decoded = decode(stored(), 60).candles
    for column in decoded.columns:
        assert column.flags.aligned
        assert not column.flags.writeable
        assert not column.flags.owndata


def test_candles_cut_from_others_are_encoded_as_themselves() -> None:
    """Views have strides and offsets of their own; the bytes must not know."""
    bars = candles(newest_rows(30))
    assert as_rows(decode(encode(Stored(bars.cut(5, 9)), 60), 60).candles) == newest_rows(30)[5:9]


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"[[1,2,3,4,5,6]]" * 9, stored()[:-1], stored() + b"\0", stored()[: HEADER.size - 1]],
)
def test_foreign_or_cut_bytes_are_a_problem_and_no_exception(data: bytes) -> None:
    """Another program's key or a half-written value must cost a request, not a decision."""
    decoded = decode(data, 60)
    assert len(decoded.candles) == 0
    assert decoded.problem


def test_bars_of_another_timeframe_are_refused() -> None:
    """A mixed-up key would otherwise feed hours to a strategy that expects minutes."""
    assert "60 s" in decode(stored(), 3600).problem


def test_bars_out_of_order_are_refused() -> None:
    """Whoever wrote them, the reader relies on the order."""
    bars = candles(newest_rows(3))
    backwards = Candles(np.flip(bars.open_time), bars.open, bars.high, bars.low, bars.close, bars.volume)
    assert decode(encode(Stored(backwards), 60), 60).problem


@given(position=st.integers(0, len(stored()) - 1), flip=st.integers(1, 255))
def test_no_single_damaged_byte_changes_a_bar(position: int, flip: int) -> None:
    """A price that is wrong in one bit looks like any other price: only a checksum sees it."""
    damaged = bytearray(stored())
    damaged[position] ^= flip
    decoded = decode(bytes(damaged), 60)
    assert decoded.problem or as_rows(decoded.candles) == newest_rows(20)


@given(data=st.binary(max_size=200))
def test_no_bytes_at_all_make_it_raise(data: bytes) -> None:
    """Reading is on every decision's path."""
    decode(b"TLCB" + data, 60)
    decode(data, 60)
