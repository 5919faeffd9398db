"""Which bars are missing and when a decision is wanted, as the feed keeps it in mind."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.domain.timeframes import Timeframe
from pipeline.market.feed.arrivals import Arrival, Arrivals

MINUTE_MS, FIVE_MS = 60_000, 300_000
FRAMES = (Timeframe.parse("1m"), Timeframe.parse("5m"))
NOON_MS = 1_760_097_600_000  # 2025-10-10 12:00 UTC


def loaded(*symbols: str, decide: Iterable[str] = ("1m",), at_ms: int = NOON_MS) -> Arrivals:
    """Everything that closed up to `at_ms` is there."""
    arrivals = Arrivals(FRAMES, decide)
    arrivals.follow(symbols)
    for symbol in symbols:
        arrivals.loaded(symbol, "1m", at_ms - MINUTE_MS)
        arrivals.loaded(symbol, "5m", at_ms - FIVE_MS)
    return arrivals


def test_a_new_symbol_has_everything_missing_and_a_loaded_one_nothing() -> None:
    """The first load and the following of the universe are one thing."""
    arrivals = loaded("A")
    arrivals.follow(["A", "B"])
    assert arrivals.behind(NOON_MS) == {"B": ("1m", "5m")}
    arrivals.follow(["A"])
    assert arrivals.behind(NOON_MS) == {}


def test_a_bar_is_missing_from_its_close_on() -> None:
    """Not a millisecond earlier: a forming bar is nobody's."""
    arrivals = loaded("A")
    assert arrivals.behind(NOON_MS + MINUTE_MS - 1) == {}
    assert arrivals.behind(NOON_MS + MINUTE_MS) == {"A": ("1m",)}
    assert arrivals.closed("A", "1m", NOON_MS) is Arrival.NEXT
    assert arrivals.behind(NOON_MS + MINUTE_MS) == {}


def test_a_bar_that_arrives_ahead_shows_the_gap_before_it_at_once() -> None:
    """The newest bar alone says nothing about those that were lost while the socket was cut."""
    arrivals = loaded("A")
    assert arrivals.closed("A", "1m", NOON_MS + MINUTE_MS) is Arrival.AHEAD
    assert arrivals.behind(NOON_MS) == {"A": ("1m",)}
    arrivals.loaded("A", "1m", NOON_MS + MINUTE_MS)
    assert arrivals.behind(NOON_MS) == {}


def test_the_first_message_of_a_bar_closes_the_one_before() -> None:
    """A lost closing message is noticed when the next bar begins, not two seconds later."""
    arrivals = loaded("A")
    arrivals.forming("A", "1m", NOON_MS, NOON_MS + 5)
    assert arrivals.behind(NOON_MS) == {}
    arrivals.forming("A", "1m", NOON_MS + MINUTE_MS, NOON_MS + MINUTE_MS)
    assert arrivals.behind(NOON_MS) == {"A": ("1m",)}


def test_a_bar_that_by_its_own_message_has_not_begun_or_that_no_grid_has_closes_nothing() -> None:
    """What never comes would be missing for ever, and no decision asked for again."""
    arrivals = loaded("A")
    arrivals.forming("A", "1m", NOON_MS + MINUTE_MS, NOON_MS + MINUTE_MS - 1)
    arrivals.forming("A", "1m", NOON_MS + MINUTE_MS + 1, NOON_MS + 2 * MINUTE_MS)
    assert arrivals.behind(NOON_MS) == {}


def test_a_repeated_or_revised_bar_changes_nothing_here() -> None:
    """The store takes a revision over; the series is as whole as before."""
    arrivals = loaded("A")
    assert arrivals.closed("A", "1m", NOON_MS - MINUTE_MS) is Arrival.KNOWN
    assert arrivals.behind(NOON_MS) == {}


def test_what_the_store_lost_is_missing_again() -> None:
    """FLUSHALL costs time, nothing else."""
    arrivals = loaded("A", "B")
    arrivals.forget(["A"])
    assert set(arrivals.behind(NOON_MS)) == {"A"}
    arrivals.forget()
    assert set(arrivals.behind(NOON_MS)) == {"A", "B"}


def test_a_decision_waits_for_every_bar_that_closes_at_its_instant() -> None:
    """Judged a moment earlier it would ask the exchange for the five-minute bar, or see the one before."""
    arrivals = loaded("A")
    assert arrivals.wanted("A", NOON_MS) == NOON_MS
    for minute in range(1, 5):
        arrivals.closed("A", "1m", NOON_MS + (minute - 1) * MINUTE_MS)
        assert arrivals.wanted("A", NOON_MS + minute * MINUTE_MS) == NOON_MS + minute * MINUTE_MS
    five = NOON_MS + FIVE_MS
    arrivals.closed("A", "1m", five - MINUTE_MS)
    assert arrivals.wanted("A", five) is None
    arrivals.closed("A", "5m", NOON_MS)
    assert arrivals.wanted("A", five) == five


def test_a_close_is_decided_once() -> None:
    """A repeated bar is no reason for another pass."""
    arrivals = loaded("A")
    assert arrivals.wanted("A", NOON_MS) == NOON_MS
    assert arrivals.wanted("A", NOON_MS + 1) is None


def test_only_the_chosen_timeframes_ask_for_decisions() -> None:
    """One may want a pass each hour although one-minute bars are followed."""
    arrivals = loaded("A", decide=["5m"])
    assert arrivals.wanted("A", NOON_MS) == NOON_MS
    arrivals.closed("A", "1m", NOON_MS)
    assert arrivals.wanted("A", NOON_MS + MINUTE_MS) is None
    assert loaded("A", decide=[]).wanted("A", NOON_MS) is None


def test_a_close_long_ago_is_left_to_beat() -> None:
    """After a long load or a long outage the passes would come in one burst."""
    arrivals = loaded("A")
    assert arrivals.wanted("A", NOON_MS + 31_000) is None
    assert arrivals.wanted("A", NOON_MS + 30_000) == NOON_MS


def test_the_newest_bar_of_each_timeframe_is_known_to_the_watchdog() -> None:
    """A feed whose newest bar grows old is silent, whatever else it says."""
    arrivals = loaded("A", "B")
    arrivals.closed("B", "1m", NOON_MS)
    assert arrivals.newest() == {"1m": NOON_MS, "5m": NOON_MS - FIVE_MS}
    assert Arrivals(FRAMES).newest() == {"1m": None, "5m": None}
