"""The auditor's clock of unprotected positions: it must see what it is there to see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fault.audit.evidence import Accident
from tests.fault.audit.obstacles import obstacles, unhindered_s
from tests.fault.audit.protection import bare_spells

Entry = dict[str, Any]
STOPS, ENTRIES, TRADES = "/fapi/v1/algoOrder", "/fapi/v1/order", "/fapi/v1/userTrades"


def at(second: float, kind: str, **fields: object) -> Entry:
    told = {
        "at": f"2026-03-01T12:00:{second:06.3f}Z",
        "kind": kind,
        "symbol": "BTCUSDT",
        "client_order_id": "c",
    }
    return {**told, **fields}


def fill(second: float, side: str, qty: str) -> Entry:
    return at(second, "fill", side=side, fill_qty=qty)


def stop(second: float, kind: str, number: str = "1", qty: str = "2", side: str = "SELL") -> Entry:
    return at(second, kind, algo_id=number, type="STOP_MARKET", side=side, qty=qty)


def spells(*journal: Entry) -> list[float]:
    return [spell.seconds for spell in bare_spells(journal)]


def test_the_time_from_fill_to_stop_is_measured() -> None:
    assert spells(fill(1, "BUY", "2"), stop(1.25, "order_accepted")) == [0.25]


def test_a_stop_that_is_too_small_or_on_the_wrong_side_protects_nothing() -> None:
    assert spells(fill(1, "BUY", "2"), stop(2, "order_accepted", qty="1"), fill(4, "SELL", "1")) == [3.0]
    assert spells(fill(1, "SELL", "2"), stop(2, "order_accepted"), fill(4, "BUY", "2")) == [3.0]


def test_a_stop_taken_back_too_early_is_seen_and_what_never_got_one_goes_on_to_the_end() -> None:
    taken = (fill(1, "BUY", "2"), stop(1, "order_accepted"), stop(3, "order_canceled"), fill(9, "SELL", "1"))
    assert spells(*taken) == [0.0, 6.0]


def test_a_triggered_stop_leaves_nothing_behind() -> None:
    gone = (fill(1, "BUY", "2"), stop(1, "order_accepted"), stop(5, "order_triggered"), fill(5, "SELL", "2"))
    assert spells(*gone) == [0.0, 0.0]


# ------------------------------------------------------------------------------------- what was in the way


def struck(
    second: float,
    until: float,
    fault: str = "http_503_unavailable",
    method: str = "POST",
    path: str = STOPS,
    **args: float,
) -> list[Entry]:
    """A fault that struck a request for BTCUSDT, and the end of that request."""
    call = {"method": method, "path": path, "params": {"symbol": "BTCUSDT", "timestamp": str(second)}}
    return [at(second, "fault", fault=fault, args=args, **call), at(until, "request", **call)]


def free(*journal: Entry, accidents: tuple[Accident, ...] = ()) -> float:
    """How long the position that was bought at 1 and protected at 9 was free to get its stop, at a stretch."""
    whole = [fill(1, "BUY", "2"), *journal, stop(9, "order_accepted")]
    (spell,) = bare_spells(whole)
    return unhindered_s(spell, obstacles(whole, accidents))


def accident(since: float, until: float, symbol: str = "BTCUSDT") -> Accident:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return Accident("KILL", noon + timedelta(seconds=since), noon + timedelta(seconds=until), symbol)


def test_without_an_obstacle_the_whole_spell_counts() -> None:
    """A pipeline that does not protect has nothing to say for itself."""
    assert free() == 8.0


def test_each_refusal_gives_one_cycle_more_and_not_the_whole_spell() -> None:
    """It must be tried again: who gives up after the first one is found out."""
    assert free(*struck(2, 3)) == 6.0
    assert free(*struck(2, 2), *struck(4, 4), *struck(6, 6), *struck(8, 8)) == 2.0


def test_a_silence_lasts_until_the_request_is_given_up() -> None:
    assert free(*struck(1, 8, "timeout_before")) == 1.0


@pytest.mark.parametrize(
    ("method", "path", "fault", "counts"),
    [
        ("POST", STOPS, "timeout_before", True),
        ("GET", STOPS, "false_not_found", True),
        ("GET", ENTRIES, "false_not_found", True),
        ("GET", TRADES, "code_1007", True),
        ("GET", TRADES, "repeated_fills", False),
        ("POST", ENTRIES, "timeout_after", False),
        ("GET", "/fapi/v1/openAlgoOrders", "http_503_unavailable", False),
        ("GET", "/fapi/v3/positionRisk", "http_503_unavailable", False),
        ("DELETE", STOPS, "http_503_unavailable", False),
    ],
)
def test_only_what_a_stop_needs_counts(method: str, path: str, fault: str, counts: bool) -> None:
    """An exchange that is bad at other things is no excuse: an entry's lost answer, say, or a list that failed."""
    assert (free(*struck(5, 5, fault, method, path)) < 8.0) is counts


def test_the_trouble_of_another_symbol_is_no_excuse() -> None:
    journal = [{**each, "symbol": "ETHUSDT", "params": {"symbol": "ETHUSDT"}} for each in struck(2, 8)]
    assert free(*journal) == 8.0
    assert free(accidents=(accident(2, 8, "ETHUSDT"),)) == 8.0


def test_a_ban_stops_everybody_for_as_long_as_it_says() -> None:
    journal = struck(2, 2, "http_429", "GET", "/fapi/v1/klines", retry_after_s=5.5)
    assert free(*journal) == 1.5


def test_an_accident_excuses_what_it_hit_and_an_outage_everything() -> None:
    assert free(accidents=(accident(1, 4),)) == 5.0
    assert free(accidents=(accident(1, 4), accident(3, 8, symbol=""))) == 1.0
