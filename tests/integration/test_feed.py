"""The feed as a process, over a real Redis and the simulated exchange's WebSocket."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from functools import partial

import pytest
import requests

from pipeline.domain.timeframes import Timeframe
from pipeline.market.feed.heartbeat import Beat, Heartbeats
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.processes import Started
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("feed")

FRAMES = ("1m", "3m", "5m")
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
SETTINGS = {
    "MARKET_TIMEFRAMES": ",".join(FRAMES),
    "UNIVERSE_SYMBOLS": ",".join(SYMBOLS),
    "UNIVERSE_CHECK_EVERY_S": "1",
    "FEED_DECIDE_AT_CLOSE": "1m",
    "FEED_LEASE_S": "2",
    "FEED_STREAMS_PER_CONNECTION": "6",
    "CHAIN_CADENCE_S": "600",  # the passes are the feed's
}


@pytest.fixture
def chain() -> Iterator[ChainProcesses]:
    """No worker, no beat: an exchange whose clock is moved by hand from close to close."""
    with chain_processes(("--seed", "7", "--symbols", "5"), **SETTINGS) as running:
        yield running


def start_feed(chain: ChainProcesses, name: str = "feed") -> Started:
    command = [sys.executable, "-m", "console", "feed"]
    process = Started(name, command, chain.home / f"{name}.out", env=chain.env)
    chain.processes[name] = process
    return process


def heartbeat(chain: ChainProcesses) -> Beat | None:
    return Heartbeats(chain.pipeline.redis, "tl:feed:paper-binanceusdm").read()


def complete(chain: ChainProcesses, symbols: int = len(SYMBOLS)) -> Beat:
    """The heartbeat once every bar that is due has come and every connection tells candles."""

    def look() -> Beat | None:
        beat = heartbeat(chain)
        whole = beat is not None and beat.behind == 0 and beat.connections == beat.up
        return beat if whole and beat is not None and beat.symbols == symbols else None

    return eventually(look, 30, f"the feed to be complete; {chain.tail()}")


def stored(chain: ChainProcesses, symbol: str = SYMBOLS[0]) -> Mapping[str, list[int]]:
    """The opening times in the store, in ms."""
    found = chain.pipeline.candles.read(symbol, FRAMES)
    return {name: candles.open_time.tolist() for name, candles in found.items()}


def now_ms(chain: ChainProcesses) -> int:
    return int(requests.get(f"{chain.simulator.url}/_sim/clock", timeout=5).json()["now_ms"])


def to_the_next_close(chain: ChainProcesses, minutes: int = 5) -> int:
    """Moves the exchange's clock to just behind the next close of all timeframes; returns that instant."""
    now = now_ms(chain)
    close = (now // (minutes * 60_000) + 1) * minutes * 60_000
    body = {"advance_s": (close - now) / 1000 + 0.001}
    requests.post(f"{chain.simulator.url}/_sim/clock", json=body, timeout=5).raise_for_status()
    return close


def bars_up_to(chain: ChainProcesses, close_ms: int, symbol: str = SYMBOLS[0]) -> bool:
    """Whether all timeframes have 200 bars without a gap up to the newest one that is closed at that instant."""
    found = stored(chain, symbol)
    for name in FRAMES:
        step = Timeframe.parse(name).milliseconds
        last = close_ms // step * step - step
        if found.get(name, [])[-200:] != list(range(last - 199 * step, last + 1, step)):
            return False
    return True


def kline_requests(chain: ChainProcesses) -> int:
    return len(chain.requests_for("/fapi/v1/klines"))


def test_closed_bars_reach_the_store_over_the_socket_alone(chain: ChainProcesses) -> None:
    """After the first load the exchange is asked for no candle; each close asks for one decision a symbol."""
    start_feed(chain)
    complete(chain)
    asked = kline_requests(chain)
    close = to_the_next_close(chain)
    for symbol in SYMBOLS:
        eventually(partial(bars_up_to, chain, close, symbol), what=f"bars of {symbol}")
    eventually(lambda: len(passes(chain, close)) == len(SYMBOLS))
    assert kline_requests(chain) == asked
    assert chain.processes["feed"].stop(signal.SIGTERM) == 0


def passes(chain: ChainProcesses, close_ms: int) -> list[str]:
    """The symbols for which a decision was asked for at that close."""
    with chain.pipeline.ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT symbol, origin, slot FROM decisions").all()
    return [
        str(symbol)
        for symbol, origin, slot in rows
        if origin == "feed" and str(close_ms // 1000) in str(slot)
    ]
