"""A feed, or two, as processes over a chain's Redis and simulated exchange; and what is in the store beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from pipeline.domain.decisions import Decision, Origin
from pipeline.domain.timeframes import Timeframe
from pipeline.feeding import heartbeats
from pipeline.market.feed.heartbeat import Beat
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.processes import Started
from tests.support.proxy import Way
from tests.support.waiting import eventually

FRAMES = ("1m", "3m", "5m")
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
BARS = 200
SPEED = 20
KLINES = "/fapi/v1/klines"


@dataclass
class FeedProcesses:
    """Feeds beside one chain."""

    chain: ChainProcesses
    symbols: Sequence[str] = SYMBOLS
    ways: dict[int, Way] = field(default_factory=dict)
    """To Redis, by the pid of the feed that uses it."""

    @property
    def url(self) -> str:
        return self.chain.simulator.url

    def start(self, name: str = "feed") -> Started:
        command = [sys.executable, "-m", "console", "feed"]
        way = Way(self.chain.env["THROUGHLINE_REDIS_URL"])
        env = {**self.chain.env, "THROUGHLINE_REDIS_URL": way.url}
        process = Started(name, command, self.chain.home / f"{name}.out", env=env)
        self.chain.processes[name] = process
        self.ways[process.pid] = way
        return process

    def beat(self) -> Beat | None:
        return heartbeats(self.chain.pipeline).read()

    def complete(self, timeout: float = 40, leader: int | None = None, symbols: int | None = None) -> Beat:
        """The heartbeat once every bar that is due has come and every connection tells candles.

        `leader`: the pid that is to lead by then.
        """
        wanted = len(self.symbols) if symbols is None else symbols

        def look() -> Beat | None:
            beat = self.beat()
            if beat is None or beat.behind or beat.connections != beat.up or beat.symbols != wanted:
                return None
            return beat if leader is None or beat.holder.endswith(f"/{leader}") else None

        return eventually(look, timeout, f"the feed to be complete; {self.chain.tail()}")

    # -- the exchange's clock ---------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return int(requests.get(f"{self.url}/_sim/clock", timeout=60).json()["now_ms"])

    def next_close(self) -> int:
        """Waits for the next close of a one-minute bar; returns that instant."""
        close = (self.now_ms() // 60_000 + 1) * 60_000
        eventually(lambda: self.now_ms() >= close, 60, "the next minute of the exchange")
        return close

    # -- what is to be seen -----------------------------------------------------------------------------------

    def stored(self, symbol: str) -> Mapping[str, list[list[float]]]:
        """The rows in the store, oldest first."""
        found = self.chain.pipeline.candles.read(symbol, FRAMES)
        return {name: [list(row) for row in zip(*(column.tolist() for column in candles.columns), strict=True)]
                for name, candles in found.items()}  # fmt: skip

    def is_whole(self, close_ms: int, symbols: Sequence[str] | None = None) -> bool:
        """Whether every timeframe holds the exchange's own bars, the newest that were closed at that instant."""
        return all(self._is_whole(symbol, close_ms) for symbol in symbols or self.symbols)

    def _is_whole(self, symbol: str, close_ms: int) -> bool:
        stored = self.stored(symbol)
        return all(
            row in stored.get(name, []) for name in FRAMES for row in self.truth(symbol, name, close_ms)
        )

    def truth(self, symbol: str, timeframe: str, close_ms: int) -> list[list[float]]:
        """What the exchange tells of these bars, asked past our code."""
        step = Timeframe.parse(timeframe).milliseconds
        end = close_ms // step * step - 1
        name = symbol.partition(":")[0].replace("/", "")
        asked: dict[str, Any] = {"symbol": name, "interval": timeframe, "endTime": end, "limit": BARS}
        rows = requests.get(f"{self.url}{KLINES}", params=asked, timeout=60).json()
        return [[float(value) for value in row[:6]] for row in rows]

    def kline_requests(self) -> int:
        """How often candles were asked for; `truth` asks as well."""
        return len(self.chain.requests_for(KLINES))

    def passes(self, close_ms: int) -> list[Decision]:
        """The decisions that the feed asked for at that close."""
        slot = datetime.fromtimestamp(close_ms / 1000, UTC)
        with self.chain.pipeline.ledger.read() as unit:
            found = unit.decisions.latest(limit=1000)
        return [each for each in found if each.origin is Origin.FEED and each.slot == slot]


@contextmanager
def feed_processes(
    simulator_options: Sequence[str] = ("--seed", "7", "--symbols", "5"), **settings: str
) -> Iterator[FeedProcesses]:
    """No feed yet, no worker, no beat. A minute of the exchange lasts three seconds."""
    told = {
        "SIMULATOR_SPEED": str(SPEED),
        "MARKET_TIMEFRAMES": ",".join(FRAMES),
        "UNIVERSE_SYMBOLS": ",".join(SYMBOLS),
        "FEED_DECIDE_AT_CLOSE": "1m",
        "FEED_LEASE_S": "3",
        "FEED_LATE_AFTER_S": "20",  # of the exchange's seconds: one of ours
        "FEED_STREAMS_PER_CONNECTION": "6",
        "CHAIN_CADENCE_S": "600",
        **settings,
    }
    with chain_processes((*simulator_options, "--speed", str(SPEED)), **told) as chain:
        world = FeedProcesses(chain)
        yield world
        for way in world.ways.values():
            way.stop()
