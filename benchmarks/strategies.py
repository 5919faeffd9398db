"""What strategies cost: from the stored bytes of three timeframes of 200 bars to the resolved verdicts.

Run it as `python -m benchmarks.strategies [--json] [--runs N] [--data DIR]`. CPU time of this process, one
run after the other over windows that differ; medians and 99th percentiles. Reading from Redis and writing to
the ledger are not in
it: they belong to the stage, not to the strategies.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pipeline.domain.timeframes import Timeframe
from pipeline.market.encoding import Stored, decode, encode
from pipeline.market.recordings import histories
from pipeline.strategies.candles import Candles
from pipeline.strategies.history import walk
from pipeline.strategies.interface import AnyStrategy
from pipeline.strategies.judge import Patience, judge
from pipeline.strategies.regime import climate
from pipeline.strategies.registry import BUILT_IN, build
from pipeline.strategies.resolution import resolve

BARS = 200
WINDOWS = 100
LIMIT_MS = 1.5
PATIENCE = Patience(limit_s=1.0)
CANCEL_WITHIN = Decimal("0.1")

Packed = Mapping[str, tuple[bytes, int]]
"""By timeframe: the bytes as the candle store keeps them, and the timeframe's seconds."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds of one step."""

    step: str
    median_ms: float
    p99_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 when the whole costs more than the limit."""
    told = _parsed(arguments)
    windows = list(_windows(told.data))
    costs = list(measure(windows, told.runs))
    whole = costs[0]
    hot = profile(windows, told.runs)
    if told.json:
        print(
            json.dumps(
                {"limit_ms": LIMIT_MS, "costs": [_record(each) for each in costs], "profile": hot}, indent=2
            )
        )
    else:
        _print(costs, hot)
    return int(whole.median_ms > LIMIT_MS)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.strategies", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--data", type=Path, help="folder with recorded candles; a seeded walk without it")
    return parser.parse_args(arguments)


def _windows(data: Path | None) -> list[Packed]:
    """Windows at different closes, as stored bytes."""
    markets = [walk()] if data is None else histories(data)
    found = [window for each in markets for window in each.windows(BARS)]
    step = max(1, len(found) // WINDOWS)
    return [_stored(window) for window in found[::step][:WINDOWS]]


def _stored(window: Mapping[str, Candles]) -> Packed:
    seconds = {name: Timeframe.parse(name).seconds for name in window}
    return {name: (encode(Stored(bars), seconds[name]), seconds[name]) for name, bars in window.items()}


def decoded(stored: Packed) -> dict[str, Candles]:
    return {name: decode(data, seconds).candles for name, (data, seconds) in stored.items()}


def evaluated(strategies: Sequence[AnyStrategy], stored: Packed) -> None:
    """What the evaluate stage does between the store and the ledger."""
    resolve(judge(strategies, decoded(stored), PATIENCE), CANCEL_WITHIN)


def measure(windows: Sequence[Packed], runs: int) -> list[Cost]:
    """The whole first, then its parts, then each strategy alone (with the climates that it needs)."""
    everything = build(list(BUILT_IN), {})
    candles = [decoded(each) for each in windows]
    steps: dict[str, Callable[[int], object]] = {
        f"bytes to verdicts, {len(everything)} strategies": lambda at: evaluated(everything, windows[at]),
        "decode three timeframes": lambda at: decoded(windows[at]),
        "three climates": lambda at: [climate(bars) for bars in candles[at].values()],
    }
    for strategy in everything:
        steps[f"{strategy.name} alone, climates included"] = _judging(strategy, candles)
    steps["three pandas frames (only for strategies that ask)"] = _framing(candles)
    return [_cost(name, step, len(windows), runs) for name, step in steps.items()]


def _judging(strategy: AnyStrategy, candles: Sequence[Mapping[str, Candles]]) -> Callable[[int], object]:
    return lambda at: judge([strategy], candles[at], PATIENCE)


def _framing(candles: Sequence[Mapping[str, Candles]]) -> Callable[[int], object]:
    # Imported here: pandas is loaded only when everything else has been measured without it.
    def frames(at: int) -> object:
        from pipeline.strategies.frames import as_frame  # noqa: PLC0415

        return [as_frame(bars) for bars in candles[at].values()]

    return frames


def _cost(name: str, step: Callable[[int], object], windows: int, runs: int) -> Cost:
    for at in range(min(50, windows)):
        step(at)
    times = sorted(_timed(step, run % windows) for run in range(runs))
    return Cost(name, times[runs // 2], times[min(runs - 1, runs * 99 // 100)])


def _timed(step: Callable[[int], object], at: int) -> float:
    began = time.process_time_ns()
    step(at)
    return (time.process_time_ns() - began) / 1e6


def profile(windows: Sequence[Packed], runs: int) -> list[dict[str, object]]:
    """Where the whole spends its time: functions by own time, as shares. The profiler inflates small
    calls.
    """
    everything = build(list(BUILT_IN), {})
    profiler = cProfile.Profile()
    profiler.enable()
    for run in range(min(runs, 1000)):
        evaluated(everything, windows[run % len(windows)])
    profiler.disable()
    stats = pstats.Stats(profiler)
    rows = [(own, place) for place, (_, _, own, _, _) in stats.stats.items()]  # type: ignore[attr-defined]  # not in its stub
    total = sum(own for own, _ in rows)
    return [
        {
            "share": round(own / total, 3),
            "function": f"{Path(file).name}:{line} {function}" if line else function,
        }
        for own, (file, line, function) in sorted(rows, reverse=True)[:12]
    ]


def _record(cost: Cost) -> dict[str, object]:
    return {"step": cost.step, "median_ms": round(cost.median_ms, 4), "p99_ms": round(cost.p99_ms, 4)}


def _print(costs: Sequence[Cost], hot: Sequence[Mapping[str, object]]) -> None:
    print(f"{'CPU ms':<52}{'median':>9}{'p99':>9}")
    for each in costs:
        print(f"{each.step:<52}{each.median_ms:>9.3f}{each.p99_ms:>9.3f}")
    print(f"\nlimit for the whole: {LIMIT_MS} ms at the median\n\nwhere it goes (own time)")
    for row in hot:
        print(f"{row['share']:>7.1%}  {row['function']}")


if __name__ == "__main__":
    sys.exit(main())
