"""`python -m benchmarks.capacity [--symbols N] [--cadence S]`: the plan for many symbols, from measured figures.

Nothing is measured here: the figures below come from `benchmarks.footprint`, `python -m benchmarks` and
`benchmarks.scaling`. The page that explains the result is docs/scaling.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

DAY_S = 86_400
CORE_USED = 0.7
"""So much of a core is planned with: queues grow without end when it is all of it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one decision: CPU milliseconds by role, messages, rows and bytes of the ledger, Redis' commands and bytes."""

    worker_ms: float
    beat_ms: float
    redis_ms: float
    postgres_ms: float
    messages: int
    rows: float
    ledger_bytes: float
    commands: float
    redis_bytes: float


UNCHANGED = Cost(2.9, 0.7, 0.2, 0.9, 1, 2.3, 1_666, 12.4, 38_000)
NO_SIGNAL = Cost(5.0, 0.7, 0.4, 1.1, 2, 6.0, 2_813, 26.4, 75_000)
EXECUTED = Cost(29.5, 1.0, 0.9, 4.0, 4, 20.3, 14_104, 83.5, 92_000)
"""PostgreSQL's part of an executed decision is estimated by its rows; all others were measured, each with its exits."""

SYMBOL_BYTES = 36_700
"""Of Redis' memory: three timeframes of 200 bars."""
SLOT_WORKER_MB = 100
"""A worker process, alone or a child of a pool."""
STREAMS_PER_CONNECTION = 200
TIMEFRAMES = 3
INSERTS_PER_S = 20_000
"""Small rows, in transactions of three to six, that one PostgreSQL server takes with ease on a good disk."""


@dataclass(frozen=True, slots=True)
class Load:
    """How many decisions of each kind a second."""

    symbols: int
    cadence_s: float
    trigger_s: float
    signal_share: float

    @property
    def per_s(self) -> float:
        return self.symbols / self.cadence_s

    def mix(self, *, skip_unchanged: bool) -> Mapping[Cost, float]:
        """With `chain.skip_unchanged` bars are judged once when they close, else at every pass."""
        judged = self.symbols / self.trigger_s if skip_unchanged else self.per_s
        judged = min(judged, self.per_s)
        executed = judged * self.signal_share
        return {UNCHANGED: self.per_s - judged, NO_SIGNAL: judged - executed, EXECUTED: executed}


@dataclass(frozen=True, slots=True)
class Need:
    """Of all roles, each second unless it says otherwise."""

    mix: Mapping[Cost, float]
    symbols: int

    def of(self, name: str) -> float:
        return sum(float(getattr(cost, name)) * per_s for cost, per_s in self.mix.items())

    def cores(self, name: str) -> float:
        return self.of(name) / 1000

    def processes(self) -> int:
        return math.ceil(self.cores("worker_ms") / CORE_USED)

    def rows(self) -> Iterator[tuple[str, str]]:
        """The table."""
        beat, redis, worker = (self.cores(f"{name}_ms") for name in ("beat", "redis", "worker"))
        memory_gb = self.processes() * SLOT_WORKER_MB / 1000
        yield "decisions", f"{sum(self.mix.values()):,.0f}/s"
        yield "messages", f"{self.of('messages'):,.0f}/s"
        yield "workers", f"{worker:.1f} cores: {self.processes()} processes, {memory_gb:.1f} GB"
        yield "beat (one leads)", f"{beat:.2f} of one core{_beyond(beat)}"
        yield "Redis", f"{redis:.2f} of one core{_beyond(redis)}, {self.of('commands'):,.0f} commands/s"
        yield "Redis' network", f"{self.of('redis_bytes') * 8 / 1e6:,.0f} Mbit/s"
        yield "Redis' memory", f"{self.symbols * SYMBOL_BYTES / 1e6:,.0f} MB of candles"
        yield "PostgreSQL", f"{self.cores('postgres_ms'):.1f} cores, {self.of('rows'):,.0f} rows/s"
        yield "ledger", f"{self.of('ledger_bytes') * DAY_S / 1e9:,.1f} GB a day before pruning"
        yield (
            "feed (one leads)",
            f"{math.ceil(self.symbols * TIMEFRAMES / STREAMS_PER_CONNECTION)} connections",
        )


def _beyond(cores: float) -> str:
    return " (BEYOND IT)" if cores > 1.0 else " (more than is planned with)" if cores > CORE_USED else ""


def first_limit(load: Load, *, skip_unchanged: bool) -> list[tuple[str, int]]:
    """At how many symbols what there is only one of is full, the first one first."""
    need = Need(load.mix(skip_unchanged=skip_unchanged), load.symbols)
    singles = {
        "beat": need.cores("beat_ms") / CORE_USED,
        "Redis": need.cores("redis_ms") / CORE_USED,
        "PostgreSQL's rows": need.of("rows") / INSERTS_PER_S,
    }
    return sorted(
        ((name, math.floor(load.symbols / used)) for name, used in singles.items()), key=lambda each: each[1]
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    made.add_argument("--symbols", type=int, default=10_000)
    made.add_argument("--cadence", type=float, default=30.0, help="seconds between two passes over a symbol")
    made.add_argument("--trigger", type=float, default=1800.0, help="seconds of the first timeframe")
    made.add_argument(
        "--signals", type=float, default=0.01, help="share of judged passes that end in an order"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    told = parser().parse_args(arguments)
    load = Load(told.symbols, told.cadence, told.trigger, told.signals)
    for skip_unchanged in (True, False):
        name = "bars are judged once" if skip_unchanged else "every pass judges"
        lines = [f"{load.symbols:,} symbols every {load.cadence_s:g} s, {name}:", "", "| | |", "|---|---|"]
        need = Need(load.mix(skip_unchanged=skip_unchanged), load.symbols)
        lines += [f"| {what} | {much} |" for what, much in need.rows()]
        limits = first_limit(load, skip_unchanged=skip_unchanged)
        lines += ["", "full first: " + ", ".join(f"{what} at {at:,} symbols" for what, at in limits), "", ""]
        sys.stdout.write("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
