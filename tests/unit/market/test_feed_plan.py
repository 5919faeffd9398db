"""Which symbols share a connection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.market.feed.plan import groups

NAMES = st.sets(st.text("ABCDEFGH", min_size=1, max_size=3), max_size=40)


@given(st.lists(NAMES, min_size=1, max_size=6), st.integers(1, 7))
def test_every_wanted_symbol_is_on_exactly_one_connection_within_the_limit(
    universes: list[set[str]], size: int
) -> None:
    """Through any sequence of universes: a symbol on none is blind, one on two costs twice."""
    current: list[frozenset[str]] = []
    for wanted in universes:
        current = groups(current, wanted, size)
        assert sorted(name for group in current for name in group) == sorted(wanted)
        assert all(0 < len(group) <= size for group in current)


def test_a_connection_whose_symbols_stay_is_left_alone() -> None:
    """Each reconnect is a moment without candles."""
    first = groups([], {"A", "B", "C", "D", "E"}, 2)
    assert first == [frozenset("AB"), frozenset("CD"), frozenset("E")]
    assert groups(first, {"A", "B", "C", "D", "E", "F"}, 2)[:2] == first[:2]
    assert groups(first, {"A", "B", "C", "D"}, 2) == first[:2]
    assert groups(first, {"A", "B", "C", "E"}, 2)[0] == first[0]
