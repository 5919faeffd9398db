"""The auditor's clock of unprotected positions: it must see what it is there to see."""

from __future__ import annotations

from tests.fault.audit.protection import bare_spells

Entry = dict[str, object]


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
