"""The simulated exchange's WebSocket streams: through ccxt.pro, and spoken to directly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import ccxt.pro
import pytest

from tests.integration.simulator_clients import BTC, ETH, control
from tests.support.servers import Simulator
from tests.support.waiting import eventually

MINUTE_MS = 60_000
WAIT_S = 15.0


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    """A minute of this exchange lasts a second."""
    running = Simulator("--seed", "7", "--symbols", "3", "--speed", "60")
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def healthy(server: Simulator) -> None:
    """No fault of an earlier test is left."""
    control(server, "DELETE", "faults")


@asynccontextmanager
async def connected(server: Simulator, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as session, session.ws_connect(server.url + path) as socket:
        yield socket


async def ask(socket: aiohttp.ClientWebSocketResponse, method: str, *names: str) -> Any:
    """Send a command, and wait for the answer to it between the events."""
    await socket.send_json({"method": method, "params": list(names), "id": 7})
    while True:
        message = await socket.receive_json(timeout=WAIT_S)
        if "id" in message or "error" in message:
            return message


async def candles(socket: aiohttp.ClientWebSocketResponse, closed: int) -> list[dict[str, Any]]:
    """The events up to the given number of closed candles."""
    events: list[dict[str, Any]] = []
    while sum(event["k"]["x"] for event in events) < closed:
        message = await socket.receive_json(timeout=WAIT_S)
        event = message.get("data", message)
        if event.get("e") == "kline":
            events.append(event)
    return events


def pro(url: str) -> Any:
    exchange = ccxt.pro.binanceusdm()
    for name, address in exchange.urls["api"].items():
        if isinstance(address, str):
            exchange.urls["api"][name] = re.sub(r"^https://[^/]+", url, address)
    exchange.urls["api"]["ws"]["linear"] = url.replace("http", "ws") + "/ws"
    return exchange


def test_ccxt_pro_watches_candles_that_agree_with_rest(server: Simulator) -> None:
    """The feed's way: many symbols and timeframes over one socket."""

    async def watch() -> None:
        exchange = pro(server.url)
        try:
            await exchange.load_markets()
            wanted = [[symbol, frame] for symbol in (BTC, ETH) for frame in ("1m", "3m")]
            seen: list[Any] = []
            while len(seen) < 4:
                await asyncio.wait_for(exchange.watch_ohlcv_for_symbols(wanted), WAIT_S)
                seen = list(exchange.ohlcvs.get(BTC, {}).get("1m", []))
            rest = {row[0]: row for row in await exchange.fetch_ohlcv(BTC, "1m", limit=20)}
            assert [row[0] - seen[0][0] for row in seen] == [
                MINUTE_MS * number for number in range(len(seen))
            ]
            assert [row[:5] for row in seen[:-1]] == [rest[row[0]][:5] for row in seen[:-1]]
            assert set(exchange.ohlcvs) == {BTC, ETH}
        finally:
            await exchange.close()

    asyncio.run(watch())
    paths = [entry["path"] for entry in control(server, "GET", "journal?kind=ws_connected,ws_closed")]
    assert "/market/ws/0" in paths


ADDRESSES = {
    "/ws/btcusdt@kline_1m": False,
    "/stream?streams=btcusdt@kline_1m/ethusdt@kline_1m": True,
    "/market/ws/btcusdt@kline_1m": False,
    "/market/stream?streams=btcusdt@kline_1m": True,
    "/public/ws/btcusdt@kline_1m": False,
    "/private/stream?streams=btcusdt@kline_1m": True,
}


def test_every_address_of_a_stream_works(server: Simulator) -> None:
    """Old clients and new ones use different paths."""

    async def first(path: str) -> Any:
        async with connected(server, path) as socket:
            return await socket.receive_json(timeout=WAIT_S)

    async def all_of_them() -> list[Any]:
        return list(await asyncio.gather(*(first(path) for path in ADDRESSES)))

    for message, wrapped in zip(asyncio.run(all_of_them()), ADDRESSES.values(), strict=True):
        assert ("stream" in message) is wrapped
        event = message["data"] if wrapped else message
        assert (event["e"], event["k"]["i"]) == ("kline", "1m")


def test_each_minute_is_announced_as_closed_once_and_promptly(server: Simulator) -> None:
    """`x` is what lets the pipeline act at the close and not before."""

    async def follow() -> list[dict[str, Any]]:
        async with connected(server, "/ws/btcusdt@kline_1m") as socket:
            return await candles(socket, closed=3)

    events = asyncio.run(follow())
    closed = [event for event in events if event["k"]["x"]]
    opens = [event["k"]["t"] for event in closed]
    assert opens == [opens[0], opens[0] + MINUTE_MS, opens[0] + 2 * MINUTE_MS]
    assert all(event["k"]["T"] < event["E"] <= event["k"]["T"] + 5 * MINUTE_MS for event in closed)
    for event in events:
        assert event["k"]["x"] or event["E"] <= event["k"]["T"]
        assert float(event["k"]["l"]) <= float(event["k"]["c"]) <= float(event["k"]["h"])
    assert [event["k"]["t"] for event in events] == sorted(event["k"]["t"] for event in events)


def test_a_socket_can_subscribe_list_and_unsubscribe(server: Simulator) -> None:
    """Over an open connection, as ccxt.pro does; errors say what is wrong."""

    async def talk() -> None:
        async with connected(server, "/ws") as socket:
            assert await ask(socket, "SUBSCRIBE", "btcusdt@kline_1m", "ethusdt@kline_5m") == {
                "result": None,
                "id": 7,
            }
            listed = await ask(socket, "LIST_SUBSCRIPTIONS")
            assert listed["result"] == ["btcusdt@kline_1m", "ethusdt@kline_5m"]
            await ask(socket, "UNSUBSCRIBE", "btcusdt@kline_1m")
            assert (await ask(socket, "LIST_SUBSCRIPTIONS"))["result"] == ["ethusdt@kline_5m"]
            assert (await ask(socket, "SUBSCRIBE", "nonesuch@kline_1m"))["error"]["code"] == -1121
            assert (await ask(socket, "SUBSCRIBE", "btcusdt@kline_7m"))["error"]["code"] == -1120
            assert "unknown stream" in (await ask(socket, "SUBSCRIBE", "btcusdt@mood"))["error"]["msg"]
            assert "unknown method" in (await ask(socket, "SHOUT"))["error"]["msg"]
            many = [f"btcusdt@kline_{number}" for number in range(1025)]
            assert "more than" in (await ask(socket, "SUBSCRIBE", *many))["error"]["msg"]
            for rubbish in ("{", "[]", "null", '"x"'):
                await socket.send_str(rubbish)
                assert "error" in await socket.receive_json(timeout=WAIT_S)
            await socket.ping(b"there?")
            assert (await ask(socket, "LIST_SUBSCRIPTIONS"))["result"] == ["ethusdt@kline_5m"]

    asyncio.run(talk())


def test_a_bad_stream_in_the_address_ends_the_connection_with_its_reason(server: Simulator) -> None:
    """Not silence: a feed without candles must know why."""

    async def close_code() -> int | None:
        async with connected(server, "/stream?streams=nonesuch@kline_1m") as socket:
            await socket.receive(timeout=WAIT_S)
            return socket.close_code

    assert asyncio.run(close_code()) == 1008
    assert len(server.process.output().splitlines()) == 1


def test_a_dropped_socket_is_cut_without_goodbye(server: Simulator) -> None:
    """No close frame: the client learns of it from the transport alone."""

    async def be_dropped() -> bool:
        async with connected(server, "/ws/btcusdt@kline_1m") as socket:
            await candles(socket, closed=0)
            control(server, "POST", "faults", kind="drop_socket", count=1)
            while True:
                message = await socket.receive(timeout=WAIT_S)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return socket.close_code in {None, 1006}

    assert asyncio.run(be_dropped())
    assert control(server, "GET", "journal?kind=fault")[-1]["fault"] == "drop_socket"
    eventually(lambda: control(server, "GET", "journal?kind=ws_closed"))


def struck(server: Simulator) -> bool:
    return bool(control(server, "GET", "faults")["faults"][0]["struck"])


def test_a_mute_socket_stays_open_and_says_nothing(server: Simulator) -> None:
    """The worst kind: connected, and blind."""

    async def listen() -> tuple[bool, bool]:
        async with connected(server, "/ws/ethusdt@kline_1m") as socket:
            await socket.receive(timeout=WAIT_S)
            control(server, "POST", "faults", kind="mute_socket", seconds=20, symbol="ETHUSDT", count=1)
            await asyncio.to_thread(
                eventually, lambda: control(server, "GET", "faults")["faults"][0]["struck"]
            )
            silent = False
            while not silent:
                try:
                    await socket.receive(timeout=0.9)
                except TimeoutError:
                    silent = True
            return silent, not socket.closed

    assert asyncio.run(listen()) == (True, True)


def test_closed_candles_of_a_stream_can_be_spoilt(server: Simulator) -> None:
    """Quality checks stand behind the socket as well."""
    control(
        server, "POST", "faults", kind="malformed_stream", flavour="high_below_low", symbol="SOLUSDT", count=1
    )

    async def follow() -> list[dict[str, Any]]:
        async with connected(server, "/ws/solusdt@kline_1m") as socket:
            return await candles(socket, closed=2)

    closed = [event["k"] for event in asyncio.run(follow()) if event["k"]["x"]]
    assert [float(candle["h"]) < float(candle["l"]) for candle in closed] == [True, False]


def test_a_jump_of_the_clock_closes_every_candle_in_between(
    start_simulator: Callable[..., Simulator],
) -> None:
    """No candle is skipped when time is moved by hand."""
    server = start_simulator("--symbols", "BTCUSDT")

    async def follow() -> list[int]:
        async with connected(server, "/ws/btcusdt@kline_1m") as socket:
            await socket.receive(timeout=WAIT_S)
            control(server, "POST", "clock", advance_s=600)
            return [event["k"]["t"] for event in await candles(socket, closed=10) if event["k"]["x"]]

    opens = asyncio.run(follow())
    assert opens == [opens[0] + MINUTE_MS * number for number in range(10)]
