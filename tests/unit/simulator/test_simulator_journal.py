from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from simulator import journal as journal_module
from simulator.clock import SimClock
from simulator.errors import OptionsError
from simulator.journal import Call, Journal
from simulator.params import Params
from tests.unit.simulator.exchange_worlds import START_MS, Desk

GET = Call("GET", "/fapi/v1/time", {"symbol": "BTCUSDT"})
PROMISED = {"seq", "at", "kind", "method", "path", "params", "status"}


def test_every_entry_has_the_promised_fields() -> None:
    """Audits read these."""
    desk = Desk()
    desk.order(client_id="mine")
    desk.journal.request(GET, 200, 5)
    desk.journal.rejected(Call("POST", "/fapi/v1/order", {"newClientOrderId": "x"}), 400, -2019, "no")
    entries = desk.journal.read(0, 100)
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert all(entry.keys() >= PROMISED for entry in entries)
    by_kind = {str(entry["kind"]): entry for entry in entries}
    assert by_kind["order_accepted"]["client_order_id"] == by_kind["fill"]["client_order_id"] == "mine"
    assert by_kind["fill"]["order_id"] == by_kind["order_accepted"]["order_id"]
    assert (by_kind["order_rejected"]["client_order_id"], by_kind["order_rejected"]["code"]) == ("x", -2019)


def test_orders_stay_when_reads_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run must be auditable to its first order without keeping every price request."""
    monkeypatch.setattr(journal_module, "READS_KEPT", 3)
    desk = Desk()
    desk.order()
    for _ in range(10):
        desk.journal.request(GET, 200, 5)
    entries = desk.journal.read(0, 100)
    assert [entry["kind"] for entry in entries] == ["order_accepted", "fill", "request", "request", "request"]
    assert [entry["seq"] for entry in entries] == [1, 2, 10, 11, 12]


def test_reading_can_start_after_an_entry_and_be_narrowed() -> None:
    """A reader continues where it stopped."""
    desk = Desk()
    desk.order()
    desk.journal.request(GET, 200, 5)
    desk.order()
    assert [entry["seq"] for entry in desk.journal.read(2, 100)] == [3, 4, 5]
    assert [entry["seq"] for entry in desk.journal.read(0, 2)] == [1, 2]
    assert [entry["kind"] for entry in desk.journal.read(0, 9, "fill,request")] == ["fill", "request", "fill"]
    assert [entry["seq"] for entry in desk.journal.read(0, 9, symbol="BTCUSDT")] == [3]


def test_the_file_holds_the_same_lines(tmp_path: Path) -> None:
    """What the memory forgets the file keeps."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(SimClock(START_MS), path)
    journal.request(GET, 200, 5)
    journal.event("clock", {"speed": 2})
    journal.close()
    assert [orjson.loads(line) for line in path.read_bytes().splitlines()] == journal.read(0, 10)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Better no start than no record."""
    with pytest.raises(OptionsError, match=r"--journal .*nowhere"):
        Journal(SimClock(START_MS), tmp_path / "nowhere" / "journal.jsonl")


def test_no_signature_is_written_down() -> None:
    """A journal is passed around."""
    shown = Params.parse("symbol=A&signature=abc", "b=2").shown()
    assert shown == {"symbol": "A", "b": "2"}
