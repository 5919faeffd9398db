"""Rubbish, limits, the clock and recorded candles: the simulated exchange beyond trading."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import ccxt
import pytest
import requests

from tests.integration.simulator_clients import BTC, ETH, Exchange, control, diverted, local, price
from tests.support.servers import Simulator
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """One exchange for the tests of this file that clean up behind themselves."""
    server = Simulator("--seed", "7", "--symbols", "5", "--inactive", "LUNAUSDT")
    yield server
    server.stop()


@pytest.fixture
def desk(shared: Simulator) -> Iterator[Exchange]:
    """A trader with an account of its own, so that tests do not meet each other's orders."""
    control(shared, "DELETE", "faults")
    control(shared, "DELETE", "limits")
    control(shared, "POST", "accounts", api_key="desk", api_secret="desk-secret", balance="10000")
    exchange = diverted(shared.url, apiKey="desk", secret="desk-secret")
    exchange.load_markets()
    yield exchange
    exchange.session.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=abc"),
        ("GET", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=-5"),
        ("GET", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&startTime=99999999999999999999"),
        ("GET", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&startTime=-99999999999999"),
        ("GET", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&endTime=1"),
        ("GET", "/fapi/v1/klines?symbol=BTCUSDT&interval=7m"),
        ("GET", "/fapi/v1/klines?symbol=%00%ff&interval=1m"),
        ("GET", "/fapi/v1/klines"),
        ("GET", "/fapi/v1/ticker/24hr?symbol="),
        ("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=1e9"),
        ("GET", "/fapi/v1/nothing"),
        ("PATCH", "/fapi/v1/order"),
        ("POST", "/fapi/v1/order?quantity=NaN&%%%&=&&&"),
        ("GET", "/"),
        ("GET", "/_sim/nothing"),
        ("GET", "/_sim/journal?since=x"),
        ("GET", "/_sim/accounts/nobody"),
        ("POST", "/_sim/clock"),
    ],
)
def test_rubbish_is_answered_in_order(shared: Simulator, method: str, path: str) -> None:
    """Never a 500, never a stack trace: neither in the answer nor in the journal or on the screen."""
    answer = requests.request(method, shared.url + path, timeout=60)
    assert answer.status_code in {200, 400, 401, 404}
    assert isinstance(answer.json(), dict | list)
    assert not [entry for entry in shared.journal() if entry["kind"] == "internal_error"]
    assert "Traceback" not in shared.process.output()


def test_signed_rubbish_is_answered_in_order(desk: Exchange, shared: Simulator) -> None:
    """With a valid signature rubbish comes further in."""
    good = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "1",
        "price": "1",
        "timeInForce": "GTC",
    }
    for name, value in [
        ("symbol", "X"), ("side", "HOLD"), ("type", "WISH"), ("quantity", "NaN"), ("quantity", "1e999"),
        ("quantity", "-1"), ("price", "inf"), ("price", ""), ("timeInForce", "NEVER"),
        ("newClientOrderId", "ü" * 4), ("newClientOrderId", "x" * 37), ("positionSide", "LONG"),
        ("reduceOnly", "perhaps"), ("recvWindow", "0x"), ("workingType", "MOOD"), ("closePosition", "true"),
    ]:  # fmt: skip
        with pytest.raises(ccxt.BaseError, match=r'"code":-\d{4}'):
            desk.fapiPrivatePostOrder({**good, name: value})
    for call in (
        desk.fapiPrivateGetUserTrades,
        desk.fapiPrivateGetAllOrders,
        desk.fapiPrivatePostCountdownCancelAll,
    ):
        with pytest.raises(ccxt.BaseError, match=r'"code":-\d{4}'):
            call({"symbol": "BTCUSDT", "limit": "x", "countdownTime": "y", "startTime": "z"})
    assert "Traceback" not in shared.process.output()


def _used_within_one_minute(server: Simulator) -> list[int] | None:
    """The weight used after each of four requests; None when a new minute, with a new count, began in between."""
    control(server, "DELETE", "limits")
    began = _minute(server)
    used = []
    for path in (
        "time",
        "klines?symbol=BTCUSDT&interval=1m&limit=499",
        "ticker/24hr",
        "klines?symbol=X&limit=1500",
    ):
        answer = requests.get(f"{server.url}/fapi/v1/{path}", timeout=60)
        used.append(int(answer.headers["x-mbx-used-weight-1m"]))
    return used if _minute(server) == began else None


def _minute(server: Simulator) -> str:
    told = control(server, "GET", "clock")
    assert isinstance(told, dict)
    return str(told["now"])[:16]


def test_weights_are_counted_as_binance_does(shared: Simulator, desk: Exchange) -> None:
    """The rate budget reads these headers."""
    used = eventually(lambda: _used_within_one_minute(shared), what="a minute long enough for four requests")
    assert used == [1, 3, 43, 53]
    desk.create_order(BTC, "market", "buy", 0.01)
    assert int(desk.last_response_headers["X-Mbx-Order-Count-10s"]) >= 1


def test_who_ignores_429_is_banned(start_simulator: Callable[..., Simulator]) -> None:
    """429 with Retry-After first; 418 for those who go on."""
    server = start_simulator("--symbols", "1", "--weight-limit", "50")
    answers = [requests.get(f"{server.url}/fapi/v1/ticker/24hr", timeout=60) for _ in range(30)]
    codes = [answer.status_code for answer in answers]
    assert codes[0] == 200
    assert 429 in codes
    assert codes[-1] == 418
    assert codes == sorted(codes, key=[200, 429, 418].index)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code != 200)
    assert answers[-1].json()["code"] == -1003


def test_the_clock_can_be_moved_and_what_follows_has_happened(
    start_simulator: Callable[..., Simulator],
) -> None:
    """An hour in an instant: candles closed, resting orders filled, countdown over."""
    server = start_simulator("--symbols", "BTCUSDT,ETHUSDT", "--seed", "3")
    exchange = local(server.url)
    exchange.load_markets()
    resting = [
        exchange.create_order(BTC, "limit", side, 0.01, price(exchange) * factor)
        for side, factor in (("buy", 0.9995), ("sell", 1.0005))
    ]
    exchange.create_order(ETH, "limit", "buy", 0.1, price(exchange, ETH) * 0.96)
    exchange.fapiPrivatePostCountdownCancelAll({"symbol": "ETHUSDT", "countdownTime": 60_000})
    before = exchange.fetch_ohlcv(BTC, "1m", limit=5)
    control(server, "POST", "clock", advance_s=7200)
    exchange.nonce = exchange.fetch_time
    after = exchange.fetch_ohlcv(BTC, "1m", limit=200)
    assert after[-1][0] - before[-1][0] in {7_200_000, 7_260_000}
    assert "closed" in [exchange.fetch_order(order["id"], BTC)["status"] for order in resting]
    assert exchange.fetch_open_orders(ETH) == []
    assert "error" in control(server, "POST", "clock", now="2020-01-01T00:00:00Z")
    assert "error" in control(server, "POST", "clock", speed=0)
    control(server, "POST", "clock", speed=600)
    first = control(server, "GET", "clock")["now_ms"]
    eventually(lambda: control(server, "GET", "clock")["now_ms"] > first + 60_000)


def test_recorded_candles_are_served_through_ccxt(
    start_simulator: Callable[..., Simulator], tmp_path: Any
) -> None:
    """`--data` and `--start`: the past as the present."""
    rows = [
        f"2025-10-{day:02d} {hour:02d}:00:00,100,101,99,100.5,10,1005"
        for day in (9, 10)
        for hour in range(24)
    ]
    (tmp_path / "SUIUSDT_1h.csv").write_text(
        "\n".join(["timestamp,open,high,low,close,volume,turnover", *rows])
    )
    server = start_simulator("--data", str(tmp_path), "--start", "2025-10-10T12:30:00Z")
    exchange = local(server.url, options={"adjustForTimeDifference": True})
    candles = exchange.fetch_ohlcv("SUI/USDT:USDT", "1h", limit=500)
    assert len(candles) == 37
    assert exchange.iso8601(candles[-1][0]) == "2025-10-10T12:00:00.000Z"
    assert exchange.create_order("SUI/USDT:USDT", "market", "buy", 1)["status"] == "closed"
    with pytest.raises(ccxt.BaseError, match="-1120"):
        exchange.fetch_ohlcv("SUI/USDT:USDT", "1m")


def test_the_path_of_every_address_is_kept(shared: Simulator) -> None:
    """Diverting works because the simulator's paths are Binance's own."""
    for address in ccxt.binanceusdm().urls["api"].values():
        if isinstance(address, str) and "fapi.binance.com/fapi" in address:
            version = urllib.parse.urlparse(address).path
            assert version in {"/fapi/v1", "/fapi/v2", "/fapi/v3"}
    assert requests.get(f"{shared.url}/fapi/v1/ping", timeout=60).json() == {}
