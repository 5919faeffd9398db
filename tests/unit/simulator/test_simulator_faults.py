from __future__ import annotations

import math
from pathlib import Path

import orjson
import pytest

from simulator.faults import COMMON, FLAVOURS, KINDS, STREAM_FLAVOURS, BadFault, Effect, FaultBoard
from simulator.gateway import faulty_refusal
from simulator.spoil import spoilt, spoilt_candles, spoilt_event

MINUTE = 60_000
DOCS = Path(__file__).resolve().parents[3] / "docs" / "simulator.md"


def rows() -> list[list[object]]:
    return [
        [
            number * MINUTE,
            "10.0",
            "12.0",
            "9.0",
            "11.0",
            "5",
            number * MINUTE + MINUTE - 1,
            "50",
            3,
            "2",
            "20",
            "0",
        ]
        for number in range(9)
    ]


def test_a_fault_strikes_where_it_was_set_and_nowhere_else() -> None:
    """A test that spoils one endpoint must not spoil another."""
    board = FaultBoard(1)
    board.add(
        {"kind": "reset_after", "endpoint": "/fapi/v1/order", "method": "POST", "symbol": "BTC/USDT:USDT"}
    )
    assert board.strike("GET", "/fapi/v1/order", "BTCUSDT") is None
    assert board.strike("POST", "/fapi/v1/klines", "BTCUSDT") is None
    assert board.strike("POST", "/fapi/v1/order", "ETHUSDT") is None
    struck = board.strike("POST", "/fapi/v1/order", "BTCUSDT")
    assert struck is not None
    assert struck.name == "reset_after"


def test_a_count_is_used_up() -> None:
    """'Once' is the most useful number."""
    board = FaultBoard(1)
    board.add({"kind": "empty_body", "count": 2})
    struck = [board.strike("GET", "/fapi/v1/time", "") is not None for _ in range(4)]
    assert struck == [True, True, False, False]
    assert board.listed()[0]["struck"] == 2


def test_the_same_seed_throws_the_same_dice() -> None:
    """A chaos run that found something can be run again."""

    def run(seed: int) -> list[bool]:
        board = FaultBoard(seed)
        board.add({"kind": "latency", "probability": 0.3})
        return [board.strike("GET", "/fapi/v1/time", "") is not None for _ in range(200)]

    assert run(5) == run(5)
    assert run(5) != run(6)
    assert 30 < sum(run(5)) < 90


def test_faults_can_be_taken_back_one_by_one_or_all() -> None:
    """The second half of a test wants a healthy exchange."""
    board = FaultBoard(1)
    ids = [board.add({"kind": "latency"}).fault_id for _ in range(3)]
    assert board.clear(ids[1]) == 1
    assert [fault["id"] for fault in board.listed()] == [ids[0], ids[2]]
    assert board.clear() == 2
    assert not board


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"kind": "earthquake"}, list(KINDS)),
        ({}, list(KINDS)),
        ({"kind": "latency", "second": 3}, [*COMMON, "seconds", "jitter_s"]),
        ({"kind": "latency", "seconds": "long"}, ["seconds"]),
        ({"kind": "latency", "seconds": -1}, ["seconds"]),
        ({"kind": "latency", "seconds": math.nan}, ["seconds"]),
        ({"kind": "latency", "probability": 2}, ["probability"]),
        ({"kind": "latency", "count": 0}, ["count"]),
        ({"kind": "latency", "count": True}, ["count"]),
        ({"kind": "partial_fill", "fraction": 1.5}, ["fraction"]),
        ({"kind": "code_1006", "processed": "yes"}, ["processed"]),
        ({"kind": "latency", "endpoint": 5}, ["endpoint"]),
        ({"kind": "malformed_candles", "flavour": "sour"}, list(FLAVOURS)),
        ({"kind": "malformed_candles", "flavour": []}, list(FLAVOURS)),
        ({"kind": "malformed_stream", "flavour": "shuffled"}, list(STREAM_FLAVOURS)),
    ],
)
def test_a_fault_that_does_not_exist_is_answered_with_what_does(
    wanted: dict[str, object], names: list[str]
) -> None:
    """A misspelt fault would let a test pass for the wrong reason."""
    with pytest.raises(BadFault) as caught:
        FaultBoard(1).add(wanted)
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize("name", list(KINDS))
def test_every_kind_can_be_set_with_its_defaults_and_with_every_field_it_lists(name: str) -> None:
    """The table is the documentation: it must hold."""
    kind = KINDS[name]
    board = FaultBoard(1)
    board.add({"kind": name})
    listed = board.add({"kind": name, "probability": 0.5, "count": 1, "symbol": "BTCUSDT", **kind.args})
    assert listed.as_dict().items() >= kind.args.items()
    if kind.effect is Effect.REFUSE:
        refusal = faulty_refusal(listed)
        assert refusal.status >= 400
        assert orjson.loads(refusal.body())["msg"] == refusal.msg
        assert "{" not in refusal.msg


@pytest.mark.skipif(not DOCS.is_file(), reason="the guide is not part of this installation")
@pytest.mark.parametrize("name", list(KINDS))
def test_the_guide_names_every_kind_with_its_fields(name: str) -> None:
    """What is not written down is not found."""
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{name}` ")]
    assert len(lines) == 1
    assert all(f"`{field}`" in lines[0] for field in KINDS[name].args)


def test_faults_of_sockets_do_not_strike_requests() -> None:
    """They share a board, not their victims."""
    board = FaultBoard(1)
    board.add({"kind": "drop_socket", "symbol": "BTCUSDT"})
    assert board.strike("GET", "/fapi/v1/klines", "BTCUSDT") is None
    assert board.strike_socket(Effect.SOCKET, "/market/ws/0", {"ETHUSDT"}) is None
    assert board.strike_socket(Effect.STREAM, "/market/ws/0", {"BTCUSDT"}) is None
    assert board.strike_socket(Effect.SOCKET, "/market/ws/0", {"BTCUSDT", "ETHUSDT"}) is not None


def is_sound(candles: list[list[object]]) -> bool:
    times = [candle[0] for candle in candles]
    prices = [[float(str(price)) for price in candle[1:5]] for candle in candles]
    return times == [number * MINUTE for number in range(len(rows()))] and all(
        math.isfinite(price) and 0 < low <= price <= high
        for opened, high, low, closed in prices
        for price in (opened, closed)
    )


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_each_flavour_spoils_the_candles_and_leaves_the_rest(flavour: str) -> None:
    """Quality checks are tested with these."""
    assert is_sound(rows())
    spoiled = spoilt_candles(rows(), flavour)
    assert not is_sound(spoiled)
    assert spoiled[0] == rows()[0]
    assert spoiled[-1] == rows()[-1]


@pytest.mark.parametrize("flavour", STREAM_FLAVOURS)
def test_each_flavour_spoils_an_event(flavour: str) -> None:
    """The same for what comes over a socket; the original is left alone."""
    event = {"e": "kline", "k": {"t": MINUTE, "o": "10", "h": "12", "l": "9", "c": "11", "x": True}}
    before = orjson.dumps(event)
    assert spoilt_event(event, flavour) != [event]
    assert orjson.dumps(event) == before


def test_repeated_fills_come_twice() -> None:
    """The ledger must count each trade once."""
    fault = FaultBoard(1).add({"kind": "repeated_fills"})
    assert spoilt([{"id": 1}, {"id": 2}], fault) == [{"id": 1}, {"id": 1}, {"id": 2}, {"id": 2}]
    assert spoilt([{"id": 1}], None) == [{"id": 1}]
