"""The recorded day of the crash through the WebSocket: what the feed has stored is the recording, bar by bar."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.domain.instruments import plain
from tests.support.chain import chain_processes
from tests.support.feed import FeedProcesses
from tests.support.processes import ROOT
from tests.support.waiting import eventually

DATA = ROOT.parent / "shared" / "data"
pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded market data in {DATA}"),
]
SYMBOLS = tuple(f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "SUI", "DOGE", "XRP", "AVAX", "LINK"))
CRASH = datetime(2025, 10, 10, 20, 50, tzinfo=UTC)
BAR = timedelta(minutes=15)
Bar = tuple[datetime, float, float, float, float]


def recorded(symbol: str) -> list[Bar]:
    """The recording itself, read without any of our code; its last row was still forming."""
    with (DATA / f"{plain(symbol)}_15m.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [(datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC), *_prices(row)) for row in rows]


def _prices(row: dict[str, str]) -> tuple[float, float, float, float]:
    return float(row["open"]), float(row["high"]), float(row["low"]), float(row["close"])


def stored(world: FeedProcesses, symbol: str) -> list[Bar]:
    candles = world.chain.pipeline.candles.read(symbol, ["15m"])["15m"]
    table = zip(*(column.tolist() for column in candles.columns[:5]), strict=True)
    return [(datetime.fromtimestamp(opened / 1000, UTC), *prices) for opened, *prices in table]


def followed(
    start: datetime, until: datetime, symbols: Sequence[str], speed: str, past: timedelta = timedelta(0)
) -> dict[str, list[Bar]]:
    """What a feed has in the store that followed the recording from one instant to another, and went on for a while."""
    options = ("--data", str(DATA), "--start", start.isoformat(), "--speed", speed)
    settings = {
        "SIMULATOR_SPEED": speed,
        "MARKET_TIMEFRAMES": "15m,30m,1h",
        "UNIVERSE_SYMBOLS": ",".join(symbols),
    }
    with chain_processes(options, **settings) as chain:
        world = FeedProcesses(chain, symbols)
        world.start()
        eventually(lambda: world.now_ms() >= (until + past).timestamp() * 1000, 60, "the recording to go by")

        def arrived() -> bool:
            return all(stored(world, each)[-1][0] >= until - 2 * BAR for each in symbols)

        eventually(arrived, 30, f"the last bars to be stored; {chain.tail()}")
        return {each: stored(world, each) for each in symbols}


def test_every_bar_of_the_crash_is_stored_as_it_was_recorded() -> None:
    """Wicks of eighty per cent included: a bar that looks absurd may be the truth."""
    found = followed(CRASH, CRASH + timedelta(hours=2), SYMBOLS, speed="300")
    for symbol, bars in found.items():
        truth = {bar[0]: bar for bar in recorded(symbol)}
        assert len(bars) >= 200
        assert bars == [truth[bar[0]] for bar in bars]
        assert [bar[0] - bars[0][0] for bar in bars] == [BAR * place for place in range(len(bars))]


def test_the_last_row_of_a_recording_is_never_stored() -> None:
    """It was still forming when somebody saved it, and is so for ever: also when the clock has left it long ago, and
    the feed misses it and asks for it.
    """
    last = recorded(SYMBOLS[0])[-1][0]
    found = followed(
        last - timedelta(minutes=5), last + BAR, SYMBOLS[:1], speed="300", past=timedelta(minutes=45)
    )
    assert found[SYMBOLS[0]][-1][0] == last - BAR
