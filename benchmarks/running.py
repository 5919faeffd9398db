"""One whole run: which rigs are started, and what is measured on each."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.measures import (
    KINDS,
    Cost,
    Flow,
    Kind,
    Latency,
    Plan,
    cost,
    latency,
    suitable,
    throughput,
    warmed,
)
from benchmarks.rig import Rig, machine, rig
from benchmarks.saying import Say
from pipeline.domain.outcomes import Outcome
from tests.support.servers import PostgresServer

THROUGHPUT = "throughput"
PARTS = (*KINDS, THROUGHPUT)
SHORTEST_BAR_S = 1800


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of decision beside its empty chain."""

    cost: Cost
    latency: Latency
    chain_latency: Latency


@dataclass(slots=True)
class Results:
    """All that a run found; what was not asked for is missing."""

    ledger: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    machine: dict[str, object] = field(default_factory=machine)
    kinds: dict[str, Measured] = field(default_factory=dict)
    throughput: dict[str, Flow] = field(default_factory=dict)
    took_s: float = 0.0

    @property
    def bar_closed(self) -> bool:
        """Whether a bar closed meanwhile: then some decisions asked the exchange for it."""
        began = self.at.timestamp()
        return began // SHORTEST_BAR_S != (began + self.took_s) // SHORTEST_BAR_S


@dataclass(frozen=True, slots=True)
class Run:
    """One run over some of the PARTS. `say` is told how far it is."""

    parts: Collection[str]
    plan: Plan
    say: Say
    postgres: PostgresServer | None = None

    def results(self) -> Results:
        """Raises: RuntimeError with the processes' last words when something does not end."""
        found = Results("postgres" if self.postgres else "sqlite")
        began = time.monotonic()
        for kind in KINDS.values():
            wanted = {kind.name, THROUGHPUT} if kind.outcome is Outcome.NO_SIGNAL else {kind.name}
            if wanted & set(self.parts):
                self._measure(kind, wanted & set(self.parts), found)
        found.took_s = time.monotonic() - began
        return found

    def _measure(self, kind: Kind, parts: set[str], found: Results) -> None:
        self.say(f"{kind.name}: starting Redis, the simulated exchange and workers")
        with rig(symbols=self.plan.symbols, strategies=kind.strategies, postgres=self.postgres) as made:
            made.start_workers()
            made.start_noop_workers()
            self.say(f"{kind.name}: a first pass over {self.plan.symbols} symbols loads their candles")
            symbols = suitable(made, kind)
            if kind.name in parts:
                found.kinds[kind.name] = _measured(made, kind, symbols, self.plan, self.say)
            if THROUGHPUT in parts:
                found.throughput = _throughputs(made, symbols, self.plan, self.say)


def _measured(made: Rig, kind: Kind, symbols: Sequence[str], plan: Plan, say: Say) -> Measured:
    spent = cost(made, kind, symbols, plan, say)
    say(f"{kind.name}: latency, one at a time")
    return Measured(spent, *latency(made, kind, symbols, plan))


def _throughputs(made: Rig, symbols: Sequence[str], plan: Plan, say: Say) -> dict[str, Flow]:
    """With the pool of `throughline up`, which runs already; then with two solo workers in its place."""
    found = {}
    for pool in plan.pools:
        if pool == "solo":
            made.stop_workers()
            made.start_workers(solo=True)
            warmed(made, symbols, workers=2)
        found[pool] = throughput(made, symbols, plan, say)
    return found
