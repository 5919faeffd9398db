"""Every fault of the simulated exchange, as the unmodified ccxt class meets it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import ccxt
import pytest
import requests

from simulator.faults import FLAVOURS, KINDS, Effect
from tests.integration.simulator_clients import BTC, Exchange, control, diverted, price
from tests.support.servers import Simulator
from tests.support.waiting import eventually

ORDER = {"endpoint": "/fapi/v1/order", "method": "POST", "count": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    running = Simulator("--seed", "7", "--symbols", "3")
    yield running
    running.stop()


@pytest.fixture
def desk(server: Simulator) -> Iterator[Exchange]:
    """An account without orders on an exchange without faults."""
    control(server, "DELETE", "faults")
    control(server, "POST", "accounts", api_key="desk", api_secret="desk-secret", balance="10000")
    exchange = diverted(server.url, apiKey="desk", secret="desk-secret")
    exchange.load_markets()
    yield exchange
    exchange.session.close()


def buy(exchange: Exchange, client_id: str) -> Any:
    return exchange.create_order(BTC, "market", "buy", 0.01, params={"newClientOrderId": client_id})


@contextmanager
def gives_up_soon(desk: Exchange) -> Iterator[None]:
    """For what is never answered; everything else may take its time."""
    patient, desk.timeout = desk.timeout, 400
    try:
        yield
    finally:
        desk.timeout = patient


def was_accepted(server: Simulator, client_id: str) -> bool:
    entries = control(server, "GET", "journal?kind=order_accepted")
    return client_id in [entry["client_order_id"] for entry in entries]


def fault_entries(server: Simulator, client_id: str) -> list[str]:
    entries = control(server, "GET", "journal?kind=fault")
    return [entry["fault"] for entry in entries if entry["client_order_id"] == client_id]


@pytest.mark.parametrize(
    ("kind", "error", "accepted"),
    [
        ("timeout_before", ccxt.RequestTimeout, False),
        ("timeout_after", ccxt.RequestTimeout, True),
        ("reset_before", ccxt.NetworkError, False),
        ("reset_after", ccxt.NetworkError, True),
        ("http_503_unknown", ccxt.BaseError, True),
        ("http_503_unavailable", ccxt.BaseError, False),
        ("http_503_internal", ccxt.BaseError, False),
        ("code_1006", ccxt.BaseError, True),
        ("code_1007", ccxt.BaseError, True),
        ("code_1008", ccxt.BaseError, False),
        ("code_1021", ccxt.InvalidNonce, False),
        ("code_1003", ccxt.DDoSProtection, False),
        ("code_1015", ccxt.DDoSProtection, False),
        ("http_429", ccxt.DDoSProtection, False),
        ("http_418", ccxt.DDoSProtection, False),
    ],
)
def test_an_order_under_a_fault_raises_and_took_place_or_not(
    server: Simulator, desk: Exchange, kind: str, error: type[Exception], accepted: bool
) -> None:
    """What the caller sees is the same; what happened is not. Only asking tells."""
    control(server, "POST", "faults", kind=kind, **ORDER)
    with pytest.raises(error), gives_up_soon(desk) if error is ccxt.RequestTimeout else nullcontext():
        buy(desk, f"under-{kind}")
    assert fault_entries(server, f"under-{kind}") == [kind]
    assert was_accepted(server, f"under-{kind}") is accepted
    found = []
    try:
        found.append(desk.fetch_order(None, BTC, {"origClientOrderId": f"under-{kind}"}))
    except ccxt.OrderNotFound:
        assert not accepted
    assert bool(found) is accepted
    assert buy(desk, f"after-{kind}")["status"] == "closed"


@pytest.mark.parametrize("kind", ["empty_body", "html_body", "wrong_json"])
def test_a_body_that_is_no_answer_still_hides_an_accepted_order(
    server: Simulator, desk: Exchange, kind: str
) -> None:
    """ccxt returns an order without id instead of raising: the trap the pipeline must step around."""
    control(server, "POST", "faults", kind=kind, **ORDER)
    order: Any = {"id": None}
    try:
        order = buy(desk, f"body-{kind}")
    except ccxt.BaseError as error:
        assert not isinstance(error, ccxt.InvalidOrder)  # noqa: PT017 - either way is the library's choice
    assert order["id"] is None
    assert was_accepted(server, f"body-{kind}")


def test_the_three_texts_of_503_are_told_apart_by_reading_them(server: Simulator, desk: Exchange) -> None:
    """One class in ccxt, two meanings: unknown, or definitely not."""
    texts = {}
    for kind in ("http_503_unknown", "http_503_unavailable", "http_503_internal"):
        control(server, "POST", "faults", kind=kind, **ORDER)
        with pytest.raises(ccxt.BaseError) as caught:
            buy(desk, kind)
        texts[kind] = str(caught.value)
    assert "Unknown error, please check your request or try again later." in texts["http_503_unknown"]
    assert "Service Unavailable." in texts["http_503_unavailable"]
    assert "Internal error; unable to process your request. Please try again." in texts["http_503_internal"]


def test_latency_delays_an_order_that_then_succeeds(server: Simulator, desk: Exchange) -> None:
    """Slow is not lost."""
    control(server, "POST", "faults", kind="latency", seconds=0.2, **ORDER)
    started = time.monotonic()
    assert buy(desk, "slow")["status"] == "closed"
    assert time.monotonic() - started >= 0.2


def test_a_late_order_is_accepted_after_it_was_given_up(server: Simulator, desk: Exchange) -> None:
    """The request was lost on the way back, or so it looked: it takes effect later."""
    control(server, "POST", "faults", kind="late_acceptance", delay_s=1.5, **ORDER)
    with pytest.raises(ccxt.NetworkError):
        buy(desk, "late")
    with pytest.raises(ccxt.OrderNotFound):
        desk.fetch_order(None, BTC, {"origClientOrderId": "late"})
    eventually(lambda: was_accepted(server, "late"))
    assert desk.fetch_order(None, BTC, {"origClientOrderId": "late"})["status"] == "closed"


def test_a_live_order_can_be_denied(server: Simulator, desk: Exchange) -> None:
    """-2013 is no proof that an order was not placed."""
    buy(desk, "denied")
    control(server, "POST", "faults", kind="false_not_found", count=2)
    for _ in range(2):
        with pytest.raises(ccxt.OrderNotFound):
            desk.fetch_order(None, BTC, {"origClientOrderId": "denied"})
    assert desk.fetch_order(None, BTC, {"origClientOrderId": "denied"})["status"] == "closed"


def test_an_ioc_order_can_be_filled_in_part(server: Simulator, desk: Exchange) -> None:
    """The rest expires; the position has the part only."""
    control(server, "POST", "faults", kind="partial_fill", fraction=0.25, **ORDER)
    order = desk.create_order(BTC, "limit", "buy", 0.04, price(desk) * 1.01, {"timeInForce": "IOC"})
    assert (order["status"], order["filled"], order["remaining"]) == ("expired", 0.01, 0.03)
    assert desk.fetch_positions()[0]["contracts"] == 0.01


def test_fills_can_be_delivered_twice(server: Simulator, desk: Exchange) -> None:
    """Same trade ids: counting them twice is the caller's mistake."""
    buy(desk, "twice")
    control(server, "POST", "faults", kind="repeated_fills", count=1)
    repeated = [trade["id"] for trade in desk.fetch_my_trades(BTC)]
    assert sorted(repeated) == sorted([trade["id"] for trade in desk.fetch_my_trades(BTC)] * 2)


# ccxt sorts what REST answers: shuffled candles do not survive it.
@pytest.mark.parametrize("flavour", [name for name in FLAVOURS if name != "shuffled"])
def test_candles_can_be_malformed(server: Simulator, desk: Exchange, flavour: str) -> None:
    """What a quality check must find arrives through the real library."""
    control(server, "POST", "faults", kind="malformed_candles", flavour=flavour, symbol=BTC, count=1)
    spoilt = desk.fetch_ohlcv(BTC, "1m", limit=50)
    sound = desk.fetch_ohlcv(BTC, "1m", limit=50)
    assert not is_sound(spoilt)
    assert is_sound(sound)


def is_sound(candles: list[list[Any]]) -> bool:
    steps = {right[0] - left[0] for left, right in itertools.pairwise(candles)}
    numbers = [value for candle in candles for value in candle[1:5]]
    return (
        steps == {60_000}
        and all(value is not None and math.isfinite(value) and value > 0 for value in numbers)
        and all(candle[2] >= candle[3] for candle in candles)
    )


def test_an_unknown_fault_is_answered_with_the_list_of_what_exists(server: Simulator) -> None:
    """400, and every kind by its name."""
    answer = requests.post(f"{server.url}/_sim/faults", json={"kind": "flood"}, timeout=60)
    assert answer.status_code == 400
    assert all(name in answer.json()["error"] for name in KINDS)
    answer = requests.post(f"{server.url}/_sim/faults", json={"kind": "latency", "minutes": 1}, timeout=60)
    assert answer.status_code == 400
    assert "seconds" in answer.json()["error"]
    assert requests.post(f"{server.url}/_sim/faults", data="{", timeout=60).status_code == 400


def test_the_faults_that_are_set_can_be_read_and_taken_back(server: Simulator, desk: Exchange) -> None:
    """GET lists them beside the table of kinds, DELETE ends them."""
    fault = control(server, "POST", "faults", kind="latency", seconds=5, endpoint="/fapi/v1/openOrders")
    listed = control(server, "GET", "faults")
    assert [one["id"] for one in listed["faults"]] == [fault["id"]]
    assert {one["kind"] for one in listed["kinds"]} == set(KINDS)
    assert control(server, "DELETE", f"faults?id={fault['id']}") == {"cleared": 1}
    assert desk.fetch_open_orders(BTC) == []


def test_the_same_seed_strikes_the_same_requests(server: Simulator) -> None:
    """A rehearsal that found something must be repeatable, without starting the exchange anew."""

    def strikes() -> list[bool]:
        control(server, "DELETE", "faults")
        control(server, "POST", "dice", seed=12)
        control(server, "POST", "faults", kind="http_503_unknown", probability=0.5)
        asked = [requests.get(f"{server.url}/fapi/v1/time", timeout=60).status_code for _ in range(20)]
        return [status == 503 for status in asked]

    first = strikes()
    assert strikes() == first
    assert {True, False} == set(first)


def test_every_kind_is_covered_by_a_test_of_its_effect() -> None:
    """A new kind needs an effect that the gateway or the streams know."""
    assert {kind.effect for kind in KINDS.values()} == set(Effect)


def test_nothing_of_this_left_a_stack_trace(server: Simulator, desk: Exchange) -> None:
    """Cut connections are the simulator's daily bread."""
    control(server, "POST", "faults", kind="reset_after", count=3)
    for _ in range(3):
        with pytest.raises(ccxt.NetworkError):
            desk.fetch_time()
    control(server, "POST", "faults", kind="timeout_after", count=2)
    for _ in range(2):
        with pytest.raises(ccxt.RequestTimeout), gives_up_soon(desk):
            desk.fetch_time()
    assert len(server.process.output().splitlines()) == 1
