"""Where the time of a stage goes."""

from __future__ import annotations

import pytest

from pipeline.domain import timing


def test_parts_add_up_and_belong_to_who_collects() -> None:
    """Two stages in one process must not share their times."""
    with timing.collected() as outer:
        timing.add("exchange", 30.0)
        with timing.collected() as inner:
            timing.add("ledger", 2.0)
        timing.add("exchange", 12.5)
        assert timing.so_far() == {"exchange": 42.5}

    assert (outer, inner) == ({"exchange": 42.5}, {"ledger": 2.0})
    assert timing.so_far() == {}


def test_a_block_that_raises_was_timed_as_well() -> None:
    """A request that timed out is the one that took long."""
    with timing.collected() as parts, pytest.raises(ValueError, match="no"), timing.timed("exchange"):
        raise ValueError("no")

    assert parts["exchange"] >= 0


@pytest.mark.parametrize(
    ("parts", "total", "named"),
    [
        ({"exchange": 900.0, "ledger": 50.0}, 1000.0, "exchange"),
        ({"exchange": 100.0}, 1000.0, "own work"),
        ({}, 1000.0, "own work"),
    ],
)
def test_the_slow_part_is_named(parts: dict[str, float], total: float, named: str) -> None:
    """A warning without it sends people looking everywhere."""
    assert timing.slowest(parts, total) == named
