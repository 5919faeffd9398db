"""Numbers of orders and trades: a ledger that outlives the simulator must never see one twice."""

from __future__ import annotations

from simulator.ids import Ids


def test_a_simulator_started_again_gives_no_number_of_its_earlier_life() -> None:
    """A trade is known by its number: a repeated one would look booked already, and its fill would be lost."""
    earlier, later = Ids(started_ms=1_800_000_000_000), Ids(started_ms=1_800_000_000_001)
    before = [earlier.trade() for _ in range(1000)]
    assert max(before) < later.trade()


def test_numbers_stay_exact_in_programs_that_read_them_as_floats() -> None:
    """JavaScript, and JSON readers that follow it, are exact up to 2 to the power of 53."""
    far_away = Ids(started_ms=4_000_000_000_000)
    assert max(far_away.order(), far_away.trade(), far_away.algo()) < 2**53
