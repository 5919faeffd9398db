"""Where the CPU of a decision goes: its stages run in this process, first timed, then under the profiler."""

from __future__ import annotations

import cProfile
import io
import os
import pstats
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.measures import Kind
from benchmarks.rig import LOOK_AGAIN_S, Rig, rig
from pipeline.domain.decisions import Decision, Delivery, Origin, Stage
from pipeline.domain.errors import Transient
from pipeline.domain.ids import task_id
from pipeline.stages.opening import PassRequest
from pipeline.stages.running import Handoff
from pipeline.trace import logs
from tests.support.servers import PostgresServer

Answer = TypeVar("Answer")

SYMBOLS = 60
LINES = 25
ATTEMPTS = 100


def _profile() -> cProfile.Profile:
    """Of CPU time: waiting for the disk or the exchange does not count."""
    return cProfile.Profile(time.process_time)


@dataclass(slots=True)
class Watch:
    """CPU seconds by step, and with `profiling` a profile of each."""

    profiling: bool = False
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    profiles: dict[str, cProfile.Profile] = field(default_factory=lambda: defaultdict(_profile))

    def time(self, step: str, work: Callable[[], Answer]) -> Answer:
        began = time.process_time()
        answer = self.profiles[step].runcall(work) if self.profiling else work()
        self.cpu[step] += time.process_time() - began
        self.calls[step] += 1
        return answer

    def each_ms(self) -> Mapping[str, float]:
        """CPU milliseconds of one call of each step, in the order in which they were first taken."""
        return {step: self.cpu[step] / self.calls[step] * 1000 for step in self.cpu}

    def functions(self, step: str, sort: str) -> str:
        """The first functions of a step as the profiler prints them, by `tottime` or `cumtime`."""
        text = io.StringIO()
        pstats.Stats(self.profiles[step], stream=text).strip_dirs().sort_stats(sort).print_stats(LINES)
        return text.getvalue()


def run_through(rig: Rig, symbols: Sequence[str], watch: Watch) -> list[Decision]:
    """One decision over each symbol, from its opening to its end, all in this process and in turn."""
    rig.pipeline.burst.finish()  # from here on no entry leaves its rest to a thread
    return [_decide(rig, symbol, watch) for symbol in symbols]


def _decide(rig: Rig, symbol: str, watch: Watch) -> Decision:
    pipeline = rig.pipeline
    request = PassRequest(symbol=symbol, slot=pipeline.clock.now(), origin=Origin.BEAT)
    decision = watch.time("open", lambda: pipeline.open(request)).decision
    stage: Stage | None = Stage.FETCH
    while stage is not None:
        stage = _run(rig, stage, decision, watch)
    return rig.ended([decision.decision_id])[0]


def _run(rig: Rig, stage: Stage, decision: Decision, watch: Watch) -> Stage | None:
    now = rig.pipeline.clock.now()
    delivery = Delivery(
        task_id=task_id(decision.decision_id, stage.value),
        host="here",
        worker="profile@here",
        pid=os.getpid(),
        attempt=1,
        received_at=now,
        published_at=now,
    )

    def run() -> Handoff | None:
        return rig.pipeline.runner.run(stage, decision.decision_id, delivery, decision.symbol)

    handoff = watch.time(stage.value, lambda: _patiently(run))
    return handoff.stage if handoff else None


def _patiently(run: Callable[[], Answer]) -> Answer:
    """The first pass over a symbol loads its bars, which may take a few attempts; the passes that count find them."""
    for _ in range(ATTEMPTS):
        try:
            return run()
        except Transient as trouble:
            time.sleep(trouble.retry_after_s or LOOK_AGAIN_S)
    return run()


# --------------------------------------------------------------------------------------------- for people


def show(kind: Kind, console: Console, postgres: PostgresServer | None = None) -> None:
    """CPU by step without the profiler; then, under it, the functions that spend most, step by step."""
    with rig(symbols=SYMBOLS, strategies=kind.strategies, postgres=postgres) as made:
        logs.configure("profile", made.pipeline.settings)
        first = run_through(made, made.symbols, Watch())
        symbols = [decision.symbol for decision in first if decision.outcome is kind.outcome]
        timed, profiled = Watch(), Watch(profiling=True)
        for watch in (timed, profiled):
            made.flatten()
            run_through(made, symbols, watch)
        logs.unconfigure()
    console.print(_table(kind, timed))
    for step in profiled.profiles:
        console.print(f"[bold]{step}[/]: own time, then time with what is called, of {len(symbols)} calls")
        console.print(profiled.functions(step, "tottime"), markup=False)
        console.print(profiled.functions(step, "cumtime"), markup=False)


def _table(kind: Kind, timed: Watch) -> Table:
    table = Table(title=f"CPU of a decision ({kind.name}) in one process, without Celery")
    table.add_column("step")
    table.add_column("ms", justify="right")
    for step, each_ms in timed.each_ms().items():
        table.add_row(step, f"{each_ms:.2f}")
    table.add_row("all", f"{sum(timed.each_ms().values()):.2f}")
    return table
