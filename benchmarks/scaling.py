"""`python -m benchmarks.scaling`: what a second worker host adds.

A worker host is one solo worker, pinned to a core of its own. Its queues are filled before it may begin, so that who
enqueues takes nothing; Redis and PostgreSQL have no core of their own, and take what they need of the same two. One
host and two take turns; a ratio is of the two halves of one round.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cpu
from benchmarks.rig import Rig, rig
from console import roles
from tests.support.servers import PostgresServer, Unavailable

AIM = 1.7
HOSTS = ("first", "second")
SERVERS = ("redis", "postgres")
SYMBOLS = 250
LOOK_AGAIN_S = 0.1
PATIENCE_S = 120.0
BUILT_IN = "adaptive_ob,adaptive_str,trend_follow"
THINKER = '''
"""Thinks for a while, as a strategy that is computed anew at every bar does, and never trades."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from pipeline.strategies.interface import Candles, Floats, NearestMiss, Params, Strategy, View

THINKS_S = 0.020


class Thinks(Strategy[Params]):
    name = "thinks"
    params_type = Params
    warm_up = 1

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> NearestMiss:
        until = time.thread_time() + THINKS_S
        while time.thread_time() < until:
            np.linalg.lstsq(np.vander(np.arange(50.0), 4), np.ones(50), rcond=None)
        return NearestMiss("thought", 1.0, 2.0)
'''


@dataclass(frozen=True, slots=True)
class Flow:
    """Decisions a second of so many hosts, and CPU milliseconds of each decision by role."""

    per_s: float
    cpu_ms: Mapping[str, float]
    others_cores: float


@dataclass(frozen=True, slots=True)
class Round:
    """The same work by one host and by two."""

    one: Flow
    two: Flow

    @property
    def ratio(self) -> float:
        return self.two.per_s / self.one.per_s

    @property
    def allowed(self) -> float:
        """The ratio by CPU alone: two cores for all that two hosts and the servers took, beside one core for one host.

        What other programs take from both halves of a round does not change it.
        """
        alone = self.one.cpu_ms[HOSTS[0]]
        together = sum(self.two.cpu_ms.get(role, 0.0) for role in (*HOSTS, *SERVERS))
        return 2 * alone / together


def measured(on: Rig, count: int) -> Flow:
    """As many hosts as are running begin together on queues that are full."""
    running = [on.workers[name] for name in HOSTS if name in on.workers]
    for worker in running:
        worker.send(signal.SIGSTOP)
    ids = on.opener.ask("decisions", symbols=list(on.symbols[:count]))
    busy, own = cpu.busy(), time.process_time()
    began = on.pipeline.clock.now()

    def work() -> None:
        for worker in running:
            worker.send(signal.SIGCONT)
        _await_ended(on)

    used = cpu.spent(on.roles, work)
    others = cpu.busy() - busy - sum(used.cpu.values()) - (time.process_time() - own)
    last = max(each.ended_at for each in on.ended(ids) if each.ended_at)  # type: ignore[arg-type]  # ids as text
    each_ms = {role: seconds * 1000 / count for role, seconds in used.cpu.items()}
    return Flow(count / (last - began).total_seconds(), each_ms, max(0.0, others / used.wall_s))


def _await_ended(on: Rig) -> None:
    """Asks seldom: asking costs the cores that are being measured."""
    deadline = time.monotonic() + PATIENCE_S
    while on._open_decisions():  # noqa: SLF001 - the same question at another pace
        if time.monotonic() > deadline:
            raise RuntimeError(f"decisions did not end in {PATIENCE_S:g} s; {on.last_words()}")
        time.sleep(LOOK_AGAIN_S)


def start_host(on: Rig, number: int) -> None:
    """Ready when it has done some decisions."""
    name = HOSTS[number]
    command = (*roles.worker(roles.QUEUES, concurrency=1, name=name), "--pool", "solo")
    on._start(name, command)  # noqa: SLF001 - a worker that the rig knows no name for
    os.sched_setaffinity(on.workers[name].pid, {number})
    deadline = time.monotonic() + PATIENCE_S
    while not any(name in worker for worker in on.worked(on.decide(on.symbols[:20]))):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} never did anything; {on.last_words()}")


def rounds(on: Rig, many: int, count: int) -> Iterator[Round]:
    """One host is always there; the second comes and goes."""
    start_host(on, 0)
    on.decide(on.symbols[:count])  # the candle store is full now
    for _ in range(many):
        one = measured(on, count)
        start_host(on, 1)
        two = measured(on, count)
        on.workers.pop(HOSTS[1]).stop()
        yield Round(one, two)


def table(name: str, found: Sequence[Round]) -> list[str]:
    """One load's lines."""
    ratios = sorted(each.ratio for each in found)
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    allowed = statistics.median(found_round.allowed for found_round in found)
    median = statistics.median(ratios)
    lines = [f"{name}: {median:.2f} times (each round: {each}; aim {AIM}); CPU allows {allowed:.2f}"]
    for hosts, flows in (("one host", [e.one for e in found]), ("two hosts", [e.two for e in found])):
        told = ", ".join(
            f"{role} {_median(flows, role):.2f}" for role in (*HOSTS, *SERVERS) if _has(flows, role)
        )
        per_s = statistics.median(flow.per_s for flow in flows)
        others = statistics.median(flow.others_cores for flow in flows)
        lines.append(
            f"  {hosts}: {per_s:.0f} decisions/s; CPU ms of each: {told}; others used {others:.2f} cores"
        )
    return lines


def _has(flows: Sequence[Flow], role: str) -> bool:
    return any(role in flow.cpu_ms for flow in flows)


def _median(flows: Sequence[Flow], role: str) -> float:
    return statistics.median(flow.cpu_ms.get(role, 0.0) for flow in flows)


@contextmanager
def thinker() -> Iterator[str]:
    """A folder with the strategy that thinks."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "thinks.py").write_text(THINKER, encoding="utf-8")
        yield folder


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--decisions", type=int, default=SYMBOLS, help="in each half of a round")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it was measured, 2 when it cannot be on this machine."""
    wanted = parser().parse_args(arguments)
    if len(os.sched_getaffinity(0)) < len(HOSTS):
        sys.stderr.write("two hosts need two cores\n")
        return 2
    try:
        server = PostgresServer()
    except Unavailable as problem:
        sys.stderr.write(f"benchmarks.scaling: {problem}\n")
        return 2
    try:
        with thinker() as folder:
            loads = {
                "built-in strategies": (BUILT_IN, ""),
                "and one that thinks 20 ms": (f"{BUILT_IN},thinks", folder),
            }
            for name, (strategies, own) in loads.items():
                settings = {"STRATEGIES_FOLDER": own} if own else {}
                with rig(
                    symbols=wanted.decisions, strategies=strategies, postgres=server, settings=settings
                ) as on:
                    found = list(rounds(on, wanted.rounds, wanted.decisions))
                sys.stdout.write("\n".join(table(name, found)) + "\n")
                sys.stdout.flush()
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
