from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from simulator.bars import INTERVALS
from simulator.clock import HOUR_MS, MINUTE_MS, iso, parse_iso
from simulator.errors import ApiError, OptionsError
from simulator.market import Market, Window
from simulator.options import Options
from simulator.recorded import load
from simulator.sources import RecordedSource, choose

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
HEAD = "timestamp,open,high,low,close,volume,turnover\n"
ROWS = """2025-10-10 21:00:00,3.40,3.42,3.30,3.31,100,335
2025-10-10 21:15:00,3.31,3.35,0.62,3.05,900,2500
2025-10-10 21:30:00,3.05,3.20,3.00,3.10,300,930
2025-10-10 21:45:00,3.10,3.15,3.05,3.12,200,620
2025-10-10 22:00:00,3.12,3.13,3.11,3.12,10,31
"""
CRASH_MS = parse_iso("2025-10-10 21:15:00")
QUARTER = 15 * MINUTE_MS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "SUIUSDT_15m.csv").write_text(HEAD + ROWS)
    return tmp_path


@pytest.fixture
def market(folder: Path) -> Market:
    recording = load(folder, (), ())
    return Market(tuple(recording.instruments.values()), RecordedSource(recording))


def test_recorded_candles_are_served_as_they_were(market: Market) -> None:
    """The crash of 10 October 2025 must look like it did."""
    candles = market.candles("SUIUSDT", QUARTER, Window(10), CRASH_MS + QUARTER)
    crash = candles.closed.bar(1)
    price = market.instruments["SUIUSDT"].price
    assert crash.open_ms == CRASH_MS
    assert [price(ticks) for ticks in (crash.open, crash.high, crash.low, crash.close)] == [
        Decimal(text) for text in ("3.31", "3.35", "0.62", "3.05")
    ]


def test_the_last_price_dives_to_the_recorded_low_inside_the_bar(market: Market) -> None:
    """Stops must meet the crash, not only its close."""
    seen = [market.last("SUIUSDT", CRASH_MS + second * 1000) for second in range(0, 900, 5)]
    assert min(seen) < Decimal("0.8")
    assert min(price for _, price in market.path("SUIUSDT", CRASH_MS, CRASH_MS + QUARTER)) == 6200


@pytest.mark.parametrize("interval", [QUARTER, 2 * QUARTER, HOUR_MS])
def test_the_unclosed_last_row_never_closes(market: Market, interval: int) -> None:
    """It was written while it was forming: its close is not a close. Once the clock has left it, whoever was shown it
    would take it for closed.
    """
    last = CRASH_MS + 3 * QUARTER
    opened = last // interval * interval
    for now, shown in ((last + 60_000, True), (opened + interval, False), (last + 10 * HOUR_MS, False)):
        candles = market.candles("SUIUSDT", interval, Window(50), now)
        assert (
            (candles.forming is not None) == shown == (market.growing("SUIUSDT", interval, now) is not None)
        )
        assert int(candles.closed.open_ms[-1]) == opened - interval


def test_longer_intervals_come_from_whole_groups_only(market: Market) -> None:
    """An hour is four quarters; shorter intervals than the recording are refused."""
    hours = market.closed("SUIUSDT", HOUR_MS, 0, CRASH_MS + 5 * HOUR_MS)
    assert [iso(opened) for opened in hours.open_ms.tolist()] == ["2025-10-10T21:00:00.000Z"]
    assert (int(hours.low[0]), int(hours.close[0])) == (6200, 31200)
    assert market.interval("SUIUSDT", "4h") == 4 * HOUR_MS
    with pytest.raises(ApiError, match="-1120"):
        market.interval("SUIUSDT", "1m")


def test_a_longer_candle_whose_beginning_was_not_recorded_is_left_out(tmp_path: Path) -> None:
    """Half an hour of data is no hour."""
    rows = ROWS.splitlines(keepends=True)[1:]
    (tmp_path / "SUIUSDT_15m.csv").write_text(HEAD + "".join(rows))
    recording = load(tmp_path, (), ())
    begun = Market(tuple(recording.instruments.values()), RecordedSource(recording))
    halves = begun.closed("SUIUSDT", 2 * QUARTER, 0, CRASH_MS + HOUR_MS)
    assert halves.open_ms.tolist() == [CRASH_MS + QUARTER]


def test_the_clock_starts_inside_the_recording(folder: Path) -> None:
    """`--start` chooses where; outside there is nothing to serve."""
    chosen = choose(Options(data=folder, start="2025-10-10T21:20:00Z"))
    assert chosen.start_ms == CRASH_MS + 5 * MINUTE_MS
    with pytest.raises(OptionsError, match="outside the recording, 2025-10-10T21:00"):
        choose(Options(data=folder, start="2025-10-11T21:20:00Z"))
    with pytest.raises(OptionsError, match="--start: 'soon'"):
        choose(Options(data=folder, start="soon"))


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        ("2025-10-10 21:00:00,x,1,1,1,1,1", "line 2"),
        ("yesterday,1,1,1,1,1,1", "line 2"),
        ("2025-10-10 21:00:00,1,1,2,1,1,1", "low <= open"),
        ("2025-10-10 21:00:00,1,1,-1,1,1,1", "line 2"),
        ("2025-10-10 21:00:00,1,1,1,1,1,1", "at least two rows"),
        ("2025-10-10 21:00:00,1", "line 2"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, bad: str, names: str) -> None:
    """Serving half a file would be worse than not starting."""
    (tmp_path / "XUSDT_1h.csv").write_text(HEAD + bad + "\n")
    with pytest.raises(OptionsError, match=names):
        load(tmp_path, (), ())


def test_a_folder_without_candles_and_a_symbol_without_a_file_are_named(folder: Path, tmp_path: Path) -> None:
    """The two usual mistakes."""
    with pytest.raises(OptionsError, match="no such folder"):
        load(tmp_path / "nowhere", (), ())
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(OptionsError, match="no candle files"):
        load(empty, (), ())
    with pytest.raises(OptionsError, match="no file for BTCUSDT; recorded are SUIUSDT"):
        load(folder, ("BTCUSDT",), ())


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the recorded candles (../shared/data) are not on this machine"
)
def test_the_recorded_crash_can_be_served_whole() -> None:
    """All files load, ticks fit the prices, and each interval has its candles on the day of the crash."""
    chosen = choose(Options(data=SHARED, start="2025-10-10T21:15:00Z"))
    market = Market(chosen.instruments, chosen.source)
    assert len(chosen.instruments) == 12
    assert len({instrument.symbol for instrument in chosen.instruments}) == 12
    for symbol in market.instruments:
        for name in ("15m", "30m", "1h", "2h", "4h"):
            candles = market.candles(symbol, INTERVALS[name], Window(100), chosen.start_ms)
            assert len(candles.closed) > 40, (symbol, name)
    low = min(ticks for _, ticks in market.path("SUIUSDT", chosen.start_ms, chosen.start_ms + QUARTER))
    before = market.last_ticks("SUIUSDT", chosen.start_ms)
    assert low / before == pytest.approx(1 - 0.796, abs=0.01)
