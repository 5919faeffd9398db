"""ccxt's own WebSocket class, handed messages as the exchange sends them; few sockets are opened."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.timeframes import Timeframe
from pipeline.exchange.klines import Kline, KlineSocket
from pipeline.exchange.wire import WireOptions
from pipeline.testing import btc

MINUTE = Timeframe.parse("1m")
OPEN_MS = 1_760_130_000_000
Heard = list[Kline]


def message(open_ms: int = OPEN_MS, /, *, closed: bool = False, **changes: object) -> dict[str, object]:
    """One event of the stream, in Binance's words."""
    bar = {
        "t": open_ms,
        "s": "BTCUSDT",
        "i": "1m",
        "x": closed,
        "o": "100.5",
        "h": "101",
        "l": "99",
        "c": "100",
        "v": "7",
    }
    return {"e": "kline", "E": open_ms + 60_001, "s": "BTCUSDT", "k": {**bar, **changes}}


@pytest.fixture
def heard() -> Heard:
    return []


@pytest.fixture
def socket(heard: Heard) -> KlineSocket:
    """It is never opened, so it need not be closed."""
    return KlineSocket(WireOptions(), [(btc(), MINUTE)], heard.append)


def tell(socket: KlineSocket, *messages: object) -> None:
    """As ccxt's client hands them over."""
    client = SimpleNamespace(subscriptions={})
    for each in messages:
        socket._ccxt.handle_message(client, each)


def test_a_closed_bar_is_heard_with_its_numbers_and_the_exchanges_time(
    socket: KlineSocket, heard: Heard
) -> None:
    """ccxt passes on neither the word that it is closed nor the time of the message."""
    tell(socket, message(closed=True))
    row = (OPEN_MS, 100.5, 101.0, 99.0, 100.0, 7.0)
    assert heard == [Kline("BTC/USDT:USDT", MINUTE, row, closed=True, event_ms=OPEN_MS + 60_001)]


def test_of_a_forming_bar_only_the_first_message_is_heard(socket: KlineSocket, heard: Heard) -> None:
    """It says that the bar before is over; the others say nothing that anybody may use."""
    tell(socket, *[message() for _ in range(5)], message(OPEN_MS + 60_000))
    assert [(each.row[0], each.closed) for each in heard] == [(OPEN_MS, False), (OPEN_MS + 60_000, False)]
    assert socket.messages == 6


def test_both_forms_of_the_stream_are_understood(socket: KlineSocket, heard: Heard) -> None:
    """Combined streams wrap each event in the stream's name."""
    tell(socket, {"stream": "btcusdt@kline_1m", "data": message(closed=True)})
    assert len(heard) == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        {"e": "kline"},
        {"e": "kline", "k": None},
        {"e": "kline", "E": 1, "k": {"s": [], "i": {}}},
        message(s="NOBODY"),
        message(i="7m"),
        [],
        "hello",
        None,
        7,
        {"result": None, "id": 1},
    ],
)
def test_rubbish_is_not_heard_and_ends_nothing(socket: KlineSocket, heard: Heard, rubbish: object) -> None:
    """ccxt would stop listening at the first exception, without a word."""
    tell(socket, rubbish, message(closed=True))
    assert len(heard) == 1


@pytest.mark.parametrize("changes", [{"t": "soon"}, {"o": "much"}, {"c": None}, {"v": "nan"}])
def test_a_bar_with_rubbish_in_it_is_passed_on_to_be_refused_by_name(
    socket: KlineSocket, heard: Heard, changes: dict[str, Any]
) -> None:
    """The quality checks refuse it and say why; dropped here it would be missing without a reason."""
    tell(socket, message(closed=True, **changes))
    assert len(heard) == 1


def test_a_connection_that_cannot_be_made_says_so() -> None:
    """The feed tries again later; nobody else waits for it."""
    socket = KlineSocket(WireOptions(base_url="http://127.0.0.1:1"), [(btc(), MINUTE)], lambda _: None)

    async def follow() -> None:
        try:
            await socket.follow()
        finally:
            await socket.close()

    with pytest.raises(ExchangeUnavailable, match="candle stream ended"):
        asyncio.run(follow())


async def heard_before_it_ended(*texts: str) -> tuple[int, str]:
    """What a connection hears of a server that says these things and then stays open; and why it ended."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        answering = web.WebSocketResponse()
        await answering.prepare(request)
        await answering.receive()
        for text in texts:
            await answering.send_str(text)
        await answering.receive()
        return answering

    application = web.Application()
    application.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    heard: Heard = []
    address = WireOptions(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    socket = KlineSocket(address, [(btc(), MINUTE)], heard.append)
    try:
        await asyncio.wait_for(socket.follow(), 20)
    except ExchangeUnavailable as problem:
        return len(heard), str(problem)
    finally:
        await socket.close()
        await runner.cleanup()
    raise AssertionError("it goes on")


@pytest.mark.parametrize("text", ['{"e":"kline","E":1760130', '{"e":"trade"}'])
def test_a_message_that_cannot_be_read_ends_the_connection_with_its_reason(text: str) -> None:
    """ccxt would listen no more, without a word, until somebody finds the connection mute."""
    count, why = asyncio.run(heard_before_it_ended(json.dumps(message(closed=True)), text))
    assert count == 1
    assert "could not be read" in why


def test_the_real_exchange_is_followed_at_its_own_address() -> None:
    """Only mode paper is diverted."""
    real = KlineSocket(WireOptions(), [(btc(), MINUTE)], lambda _: None)
    paper = KlineSocket(WireOptions(base_url="http://127.0.0.1:8390"), [(btc(), MINUTE)], lambda _: None)
    address = "get_ws_url"
    assert getattr(real._ccxt, address)("linear", "market") == "wss://fstream.binance.com/market/ws"
    assert getattr(paper._ccxt, address)("linear", "market") == "ws://127.0.0.1:8390/market/ws"
