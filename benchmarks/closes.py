"""From a candle's close at the exchange to the store, and to the order's acceptance: `python -m benchmarks.closes`.

Real processes as `throughline up` starts them. For the store the simulated exchange's clock is moved to some seconds
before a close of all three timeframes; from there on it runs as real time does, and every bar closes at once. For the
orders the clock is left alone: they are those of one-minute bars.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import itertools
import json
import math
import re
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import redis
import requests
from rich.table import Table

from benchmarks import saying
from benchmarks.rig import Rig, rig
from benchmarks.saying import Say
from console import output
from pipeline.domain.decisions import Stage
from pipeline.domain.timeframes import from_iso
from pipeline.feeding import heartbeats

LONG_FRAMES, SHORT_FRAMES = ("3m", "5m", "15m"), ("1m", "3m", "5m")
ALL_CLOSE_MS = 900_000
"""At these instants a bar of each of the long timeframes closes. The exchange's clock is asked for once a minute, and a
message that is two hours ahead of the last answer is not believed: the clock may not be moved faster than that."""
KEY_WRITTEN = re.compile(rb"\r\n__keyspace@0__:(tl:candles:[^\r]+)\r\n\$3\r\nset\r\n")
SETTLE_S = 8.0
FLATTEN_S = 5.0
PATIENCE_S = 30.0
LOOK_AGAIN_S = 1.0
"""The journal says when an order was accepted, so nobody needs to ask often: the exchange would pay for it."""


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds after the close; `rounds` closes of `each` bars or orders."""

    what: str
    rounds: int
    each: int
    median: float
    p99: float
    last: float
    """The median over the rounds of the last one of each."""
    missing: int

    @classmethod
    def of(cls, what: str, rounds: Sequence[Sequence[float]], each: int) -> Delays:
        every = sorted(delay for one in rounds for delay in one)
        last = statistics.median(max(one, default=PATIENCE_S * 1000) for one in rounds)
        missing = sum(each - len(one) for one in rounds)
        median, p99 = (statistics.median(every), _quantile(every, 0.99)) if every else (math.nan, math.nan)
        return cls(what, len(rounds), each, median, p99, last, missing)


@dataclass(frozen=True, slots=True)
class Beside:
    """What was measured beside what the machine takes for itself."""

    symbols: int
    floor: Delays
    measured: Delays

    @property
    def ratio(self) -> float:
        """Of the last ones: neighbours on the machine make both late."""
        return self.measured.last / self.floor.last


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


# ----------------------------------------------------------------------------------------- the exchange's clock


def ahead_ms(url: str) -> float:
    """How far the exchange's clock is ahead of ours: from the quickest of several answers."""
    found = []
    for _ in range(7):
        before = time.time()
        told = float(requests.get(f"{url}/_sim/clock", timeout=5).json()["now_ms"])
        after = time.time()
        found.append((after - before, told - (before + after) * 500))
    return min(found)[1]


def to_before_a_close(url: str, left_s: float) -> float:
    """Moves the exchange's clock; returns our time, in seconds, of the close that comes `left_s` later."""
    now_ms = int(requests.get(f"{url}/_sim/clock", timeout=5).json()["now_ms"])
    close_ms = (now_ms // ALL_CLOSE_MS + 1) * ALL_CLOSE_MS
    body = {"advance_s": (close_ms - now_ms) / 1000 - left_s}
    requests.post(f"{url}/_sim/clock", json=body, timeout=30).raise_for_status()
    return (close_ms - ahead_ms(url)) / 1000


def sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.time()))


# ------------------------------------------------------------------------------------------------ who sees what


class Written:
    """When which key of the candle store was written, as Redis tells its subscribers.

    Read from a bare socket, and made out afterwards: the measurement is to cost nothing while it goes on.
    """

    def __init__(self, url: str) -> None:
        self._chunks: list[tuple[float, bytes]] = []
        self._socket = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
        self._socket.sendall(b"PSUBSCRIBE __keyspace@0__:tl:candles:*\r\n")
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while chunk := self._socket.recv(65_536):
            self._chunks.append((time.time(), chunk))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def forget(self) -> None:
        self._chunks.clear()

    def first_of_each(self, since_s: float) -> dict[bytes, float]:
        """For each key our time, in seconds, of its first write since then."""
        chunks = list(self._chunks)
        ends = list(itertools.accumulate(len(chunk) for _, chunk in chunks))
        first: dict[bytes, float] = {}
        for told in KEY_WRITTEN.finditer(b"".join(chunk for _, chunk in chunks)):
            at_s = chunks[bisect.bisect_left(ends, told.end())][0]
            if at_s >= since_s:
                first.setdefault(told[1], at_s)
        return first


@contextmanager
def seen_in_store(url: str) -> Iterator[Written]:
    """What is written to the candle store while this lasts."""
    with redis.Redis.from_url(url) as client:
        client.config_set("notify-keyspace-events", "K$")
    seen = Written(url)
    try:
        yield seen
    finally:
        seen.close()


async def heard_at_a_socket(url: str, names: Sequence[str], until_s: float, close_s: float) -> list[float]:
    """The same closes at a bare socket that does nothing with them: what the exchange itself takes."""
    delays: list[float] = []
    async with aiohttp.ClientSession() as session:
        sockets = [
            await session.ws_connect(f"{url}/stream?streams={'/'.join(names[at : at + 200])}")
            for at in range(0, len(names), 200)
        ]

        heard = asyncio.Event()

        async def listen(socket: aiohttp.ClientWebSocketResponse) -> None:
            async for message in socket:
                if '"x":true' in message.data and time.time() > close_s - 0.05:
                    delays.append((time.time() - close_s) * 1000)
                    if len(delays) == len(names):
                        heard.set()

        listening = [asyncio.ensure_future(listen(socket)) for socket in sockets]
        with suppress(TimeoutError):
            await asyncio.wait_for(heard.wait(), until_s - time.time())
        for task in listening:
            task.cancel()
    return delays


# --------------------------------------------------------------------------------------------- what is measured


def bare_socket(made: Rig, rounds: int, say: Say) -> Delays:
    """Every close at a client that only listens."""
    instruments = made.pipeline.exchange.instruments()
    ids = [instruments.find(symbol).market_id.lower() for symbol in made.symbols]
    names = [f"{each}@kline_{frame}" for each in ids for frame in LONG_FRAMES]
    found = []
    for number in range(rounds + 1):
        say(f"a bare socket, close {number} of {rounds}")  # at the first the exchange makes its histories
        close_s = to_before_a_close(made.simulator.url, 2.0)
        found.append(asyncio.run(heard_at_a_socket(made.simulator.url, names, close_s + PATIENCE_S, close_s)))
    return Delays.of("a bare socket", found[1:], len(names))


def store(made: Rig, rounds: int, say: Say) -> Delays:
    """Every close in the candle store."""
    wanted = len(made.symbols) * len(LONG_FRAMES)
    found: list[list[float]] = []
    with seen_in_store(made.redis.url) as seen:
        while len(found) < rounds:
            say(f"the store, close {len(found) + 1} of {rounds}")
            seen.forget()
            close_s = to_before_a_close(made.simulator.url, SETTLE_S)
            await_feed(made)
            if time.time() > close_s - 0.05:
                continue  # the machine was too busy to be ready in time: this close cannot be told from the jump
            found.append(_delays(seen, wanted, close_s))
    return Delays.of("the store", found, wanted)


def _delays(seen: Written, wanted: int, close_s: float) -> list[float]:
    """Of the first write of each key, in milliseconds after the close."""
    sleep_until(close_s)
    while time.time() < close_s + PATIENCE_S and len(seen.first_of_each(close_s - 0.05)) < wanted:
        time.sleep(0.2)
    return [(at_s - close_s) * 1000 for at_s in seen.first_of_each(close_s - 0.05).values()]


def orders(made: Rig, rounds: int, say: Say) -> Delays:
    """The orders of one-minute closes, as the exchange's journal has them. The clock is left alone."""
    found = []
    for number in range(rounds):
        say(f"the orders, close {number + 1} of {rounds}: it comes with the next minute")
        ahead_s = ahead_ms(made.simulator.url) / 1000
        close_s = (time.time() + ahead_s + FLATTEN_S) // 60 * 60 + 60 - ahead_s
        sleep_until(close_s - FLATTEN_S)  # as late as may be: beat's passes buy as well
        made.await_decisions()
        made.flatten()
        made.pipeline.refresh_equity()
        seq = _journal_seq(made)
        sleep_until(close_s)
        found.append(_accepted(made, seq, close_s))
    return Delays.of("the order", found, len(made.symbols))


def empty_chains(made: Rig, rounds: int) -> Delays:
    """As many chains of empty tasks, published at once, through workers of the same kind: what Celery, Redis and the
    machine take for themselves. The pipeline's own processes have stopped.
    """
    made.stop_workers()
    made.start_noop_workers()
    made.run_chains(made.symbols, len(Stage))
    found = [made.run_chains(made.symbols, len(Stage)) for _ in range(rounds)]
    made.stop_workers()
    return Delays.of("an empty chain", found, len(made.symbols))


def _accepted(made: Rig, seq: int, close_s: float) -> list[float]:
    """The orders that open a position, not those that protect one; what has come since that entry of the journal."""
    delays: list[float] = []
    while time.time() < close_s + PATIENCE_S and len(delays) < len(made.symbols):
        time.sleep(LOOK_AGAIN_S)
        told = _orders_since(made, seq)
        seq = max((int(each["seq"]) for each in told), default=seq)
        opening = [each for each in told if not each["reduce_only"]]
        delays += [(from_iso(str(each["wall"])).timestamp() - close_s) * 1000 for each in opening]
    return [each for each in delays if each >= 0]


def _orders_since(made: Rig, seq: int) -> list[dict[str, Any]]:
    url = f"{made.simulator.url}/_sim/journal?since={seq}&kind=order_accepted&limit=100000"
    told: list[dict[str, Any]] = requests.get(url, timeout=10).json()
    return told


def _journal_seq(made: Rig) -> int:
    return int(requests.get(f"{made.simulator.url}/_sim/health", timeout=10).json()["journal_seq"])


def await_feed(made: Rig) -> None:
    """Until the first load is done and every connection tells candles."""
    beats, deadline = heartbeats(made.pipeline), time.monotonic() + 300
    while time.monotonic() < deadline:
        beat = beats.read()
        if beat is not None and beat.behind == 0 and beat.symbols and beat.up == beat.connections:
            return
        time.sleep(0.2)
    raise RuntimeError(f"the feed did not become complete; {made.last_words()}")


# --------------------------------------------------------------------------------------------------- the report

SETTINGS = {
    "MARKET_TIMEFRAMES": ",".join(LONG_FRAMES),
    "CHAIN_SKIP_UNCHANGED": "true",
    "EXECUTION_SLIPPAGE_BPS": "100",  # the decision price is fresh, and further than 5 % the exchange refuses
    "EXCHANGE_WEIGHT_PER_MINUTE": "10000000",
    "EXCHANGE_ORDERS_PER_10S": "1000000",
    "EXCHANGE_ORDERS_PER_MINUTE": "1000000",
}


def measure_store(symbols: int, rounds: int, say: Say) -> Beside:
    say(f"{symbols} symbols: Redis and the simulated exchange start")
    with rig(symbols=symbols, strategies="never_trades", settings=SETTINGS) as made:
        floor = bare_socket(made, rounds, say)
        say("the feed loads its candles")
        made.start_feed()
        await_feed(made)
        return Beside(symbols, floor, store(made, rounds, say))


def measure_orders(symbols: int, rounds: int, say: Say) -> Beside:
    settings = {
        **SETTINGS,
        "MARKET_TIMEFRAMES": ",".join(SHORT_FRAMES),
        "FEED_DECIDE_AT_CLOSE": SHORT_FRAMES[0],
    }
    with rig(symbols=symbols, strategies="always_buys", settings=settings) as made:
        say(f"{symbols} symbols: workers, beat and feed start, and load their candles")
        made.start_workers()
        made.start_beat()
        made.start_feed()
        await_feed(made)
        measured = orders(made, rounds, say)
        say("as many empty chains")
        return Beside(symbols, empty_chains(made, rounds), measured)


def show(found: Sequence[Beside]) -> None:
    table = Table(
        "symbols",
        "from the close to",
        "closes",
        "each",
        "median ms",
        "99th ms",
        "last ms",
        "ratio",
        "missing",
    )
    for beside in found:
        for each, ratio in ((beside.floor, ""), (beside.measured, f"{beside.ratio:.1f}")):
            figures = (each.median, each.p99, each.last)
            table.add_row(
                str(beside.symbols),
                each.what,
                str(each.rounds),
                str(each.each),
                *(f"{value:.0f}" for value in figures),
                ratio,
                str(each.missing),
            )
    output.show(table)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--symbols", type=int, action="append", help="how many; may be repeated")
    parser.add_argument("--rounds", type=int, default=10, help="how many closes")
    parser.add_argument("--only", choices=("store", "orders"), help="only this part")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    told = parser.parse_args(arguments)
    found: list[Beside] = []
    say = saying.on_stderr()
    for symbols in told.symbols or (10, 200):
        if told.only != "orders":
            found.append(measure_store(symbols, told.rounds, say))
        if told.only != "store":
            found.append(measure_orders(symbols, max(3, told.rounds // 2), say))
    if told.json:
        print(json.dumps([{**asdict(each), "ratio": each.ratio} for each in found]))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
