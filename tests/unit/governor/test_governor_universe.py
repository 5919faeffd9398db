"""One list of symbols, and a reason for each name that is not on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.instruments import Instruments
from pipeline.governor.universe import Standing, Universe, build, differences
from tests.unit.governor.worlds import INSTRUMENT

BTC, ETH, SOL, OLD = (f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "OLD"))
KNOWN = Instruments.of(
    replace(
        INSTRUMENT, symbol=symbol, market_id=symbol.split(":", 1)[0].replace("/", ""), active=symbol != OLD
    )
    for symbol in (BTC, ETH, SOL, OLD)
)


def test_each_name_is_in_or_out_with_its_reason() -> None:
    """Fifty symbols of which none may be traded must not look like a quiet market."""
    report = build([BTC, "ethusdt", "OLDUSDT", "SOL/USDT", "BTCUSTD", "BTC-USDT"], ["SOLUSDT"], KNOWN)
    assert [listing.standing for listing in report.listings] == [
        Standing.IN,
        Standing.IN,
        Standing.INACTIVE,
        Standing.BLOCKED,
        Standing.UNKNOWN,
        Standing.REPEATED,
    ]
    assert report.universe.symbols == (BTC, ETH)
    assert not report.is_empty


def test_an_unknown_name_comes_with_the_nearest_spelling() -> None:
    """The usual cause is a typing error."""
    (listing,) = build(["BTCUSTD"], [], KNOWN).listings
    assert listing.symbol is None
    assert BTC in listing.detail


@pytest.mark.parametrize("requested", [[], ["DOGE1", "DOGE2"], [OLD], [SOL], ["", " "]])
def test_an_empty_universe_is_flagged(requested: list[str]) -> None:
    """Whoever builds it must stop trading and tell somebody."""
    report = build(requested, [SOL], KNOWN)
    assert report.is_empty
    assert report.summary.startswith(f"0 of {len(requested)} names")


def test_an_exchange_without_instruments_gives_an_empty_universe() -> None:
    """An outage while loading them must not trade blindly."""
    report = build([BTC, ETH], [], Instruments.of([]))
    assert report.is_empty
    assert {listing.standing for listing in report.listings} == {Standing.UNKNOWN}


def test_a_block_that_matches_nothing_is_named() -> None:
    """A misspelt block leaves a symbol trading that somebody meant to stop."""
    assert build([BTC], ["SOLUSDT", "BTCUSTD"], KNOWN).unused_blocks == ("BTCUSTD",)


@given(st.lists(st.sampled_from([BTC, ETH, SOL, OLD, "btcusdt", "NOPE"]), max_size=8))
def test_order_and_repetition_of_names_do_not_matter(names: list[str]) -> None:
    """Hosts with the same configuration must agree on the version."""
    assert build(names, [], KNOWN).universe == build([*reversed(names), *names], [], KNOWN).universe


@given(st.sets(st.text(min_size=1, max_size=5)), st.sets(st.text(min_size=1, max_size=5)))
def test_versions_are_equal_exactly_when_the_symbols_are(some: set[str], others: set[str]) -> None:
    """Each decision names the version it saw: it must stand for one list."""
    assert (Universe.of(some).version == Universe.of(others).version) == (some == others)


def test_membership_is_by_the_exact_symbol() -> None:
    """Spellings are resolved once, when the universe is built."""
    universe = build(["btcusdt"], [], KNOWN).universe
    assert BTC in universe
    assert "BTCUSDT" not in universe
    assert None not in universe


def test_what_another_version_changes_is_named_with_its_reason() -> None:
    """A symbol that silently left is one whose position nobody watches."""
    report = build([BTC, "btcusdt", "SOL/USDT", OLD], [], KNOWN)
    assert differences([ETH, BTC, OLD], report) == {
        SOL: "goes in: active on the exchange",
        ETH: "goes out: nobody asks for it any more",
        OLD: f"goes out: the exchange does not trade {OLD} at the moment",
    }
    assert differences(report.universe.symbols, report) == {}
    assert differences([], report)[BTC] == "goes in: active on the exchange"
