"""The exchange's clock, told from ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipeline.exchange.clock import ExchangeClock
from pipeline.testing import FixedClock

OURS = datetime(2026, 3, 1, 12, tzinfo=UTC)
CRASH = datetime(2025, 10, 10, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def clock_at(theirs: datetime, speed: float = 1.0) -> tuple[ExchangeClock, FixedClock]:
    ours = FixedClock(OURS)
    clock = ExchangeClock(
        ours,
        lambda: theirs,
        max_age_s=60.0,
        speed=speed,
        monotonic=lambda: ours.now().timestamp(),
    )
    return clock, ours


def test_a_recordings_clock_is_followed_though_it_is_months_away() -> None:
    """Which bars are closed is decided there."""
    clock, ours = clock_at(CRASH)
    assert clock.now() == CRASH
    ours.turn(MINUTE)
    assert clock.now() == CRASH + MINUTE
    assert clock.at(OURS) == CRASH


def test_a_clock_that_runs_faster_is_followed_between_two_measurements() -> None:
    """At sixty times the speed an offset that stands still is a minute wrong after a second."""
    clock, ours = clock_at(CRASH, speed=60.0)
    assert clock.now() == CRASH
    ours.turn(timedelta(seconds=1))
    assert clock.now() == CRASH + MINUTE
    assert clock.at(OURS) == CRASH


def test_a_small_difference_is_noise_and_is_not_signed() -> None:
    """Half a round trip can be wrong by as much."""
    clock, _ = clock_at(OURS + timedelta(milliseconds=40))
    clock.measure()
    assert clock.at(OURS) == OURS


def test_it_is_measured_again_once_somebody_found_it_wrong() -> None:
    """The exchange refuses a timestamp of ours: the next one is made from a fresh measurement."""
    clock, _ = clock_at(CRASH)
    seen = [clock.is_measured]
    assert clock.at(OURS) == OURS
    clock.measure()
    seen.append(clock.is_measured)
    clock.forget()
    assert [*seen, clock.is_measured] == [False, True, False]


def test_it_is_measured_again_when_somebody_has_set_our_clock() -> None:
    """A minute's jump must not be believed until the measurement is old: a permit would live a minute longer."""
    ours = FixedClock(OURS)
    clock = ExchangeClock(ours, lambda: OURS, max_age_s=60.0, monotonic=lambda: 0.0)
    assert clock.now() == OURS
    ours.turn(-MINUTE)
    assert clock.now() == OURS


def test_a_slow_answer_is_asked_for_again_and_the_quickest_counts() -> None:
    """On a busy machine the first question takes a second and more, and half of that would be signed as the offset."""
    ours, delays = FixedClock(OURS), iter([(2.0, 0.0), (0.02, 0.02)])

    def ask() -> datetime:
        until_told, until_here = next(delays)
        ours.turn(timedelta(seconds=until_told))
        told = ours.now()
        ours.turn(timedelta(seconds=until_here))
        return told

    clock = ExchangeClock(ours, ask, max_age_s=60.0)
    assert clock.measure() == timedelta(0)


def test_an_exchange_that_is_always_slow_is_not_asked_for_ever() -> None:
    """A third of a second away every answer is slow: the quickest of three is what there is."""
    ours, asked = FixedClock(OURS), []

    def ask() -> datetime:
        ours.turn(timedelta(seconds=0.3))
        asked.append(ours.now())
        return asked[-1]

    clock = ExchangeClock(ours, ask, max_age_s=60.0)
    assert clock.measure() == timedelta(seconds=0.15)
    assert len(asked) == 3
