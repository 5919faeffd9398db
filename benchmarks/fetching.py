"""What a fetch costs: `python -m benchmarks.fetching`.

The steady state: all candles are in the store, and every pass ends in its fetch stage, because its bars were
judged before. First the stage alone, in this process, with universes of 1, 50, 200 and 1,000 symbols side by side;
then passes through a real worker, beside an empty Celery task on the same Redis; then a minute with a feed, in which
bars close and are judged, and the requests for candles that the exchange has seen meanwhile.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from rich.table import Table

from benchmarks import cpu, saying
from benchmarks.closes import await_feed, seen_in_store, sleep_until
from benchmarks.measures import IDLE_S, SETTLE_S
from benchmarks.rig import Rig, rig
from benchmarks.saying import Say
from config.loading import load
from console import output
from pipeline.bootstrap import Pipeline, build
from pipeline.domain.decisions import Delivery, Origin, Stage
from pipeline.domain.ids import task_id
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.stages.opening import PassRequest
from pipeline.trace import logs

SIZES = (1, 50, 200, 1000)
FED = 200
MINUTE_S = 60.0
KLINES = "/fapi/v1/klines"
PASSES = 40
"""Of each size in a round: those of the sizes take turns, so that what else runs on the machine hits all alike."""
WORKED = 100
SETTINGS = {"CHAIN_SKIP_UNCHANGED": "true", "MARKET_WAIT_FOR_BARS_S": "30", "UNIVERSE_CHECK_EVERY_S": "3600"}


@dataclass(frozen=True, slots=True)
class StageCost:
    """CPU milliseconds of the fetch stage alone, with this many symbols; `ratio` to the smallest universe."""

    symbols: int
    median_ms: float
    p90_ms: float
    ratio: float


@dataclass(frozen=True, slots=True)
class WorkerCost:
    """CPU milliseconds that a pass takes in its worker, Celery and all, beside an empty task. Medians of the rounds."""

    symbols: int
    fetch_ms: float
    empty_ms: float
    klines: int


# ------------------------------------------------------------------------------------------------- the stage alone


class Universe:
    """One process's pipeline over the first symbols of the exchange, every bar judged once."""

    def __init__(self, made: Rig, symbols: Sequence[str]) -> None:
        home = made.home / f"home-{len(symbols)}"
        home.mkdir()
        names = {"THROUGHLINE_HOME": str(home), "THROUGHLINE_UNIVERSE_SYMBOLS": ",".join(symbols)}
        self.pipeline: Pipeline = build(load(env={**made.env, **names}))
        self.pipeline.ledger.migrate()
        self.symbols = symbols
        self._next = itertools.cycle(symbols)
        self.ended: Counter[Reason | None] = Counter()
        for symbol in symbols:
            self._judge(symbol)
        self.ended.clear()

    def fetch_ms(self) -> float:
        """The CPU of one pass's fetch stage; its opening is not counted."""
        return self._pass(next(self._next))

    def _judge(self, symbol: str) -> None:
        """The first pass: its bars are asked for, and judged."""
        self._pass(symbol)

    def _pass(self, symbol: str) -> float:
        """One pass in this process; the CPU of its stages in ms."""
        here = self.pipeline
        decision = here.open(PassRequest(symbol=symbol, slot=here.clock.now(), origin=Origin.BEAT)).decision
        stage: Stage | None = Stage.FETCH
        began = time.process_time()
        while stage is not None:
            told = _delivery(task_id(decision.decision_id, stage.value), here.clock.now())
            handoff = here.runner.run(stage, decision.decision_id, told, symbol)
            stage = handoff.stage if handoff else None
        spent_ms = (time.process_time() - began) * 1000
        with here.ledger.read() as unit:
            ended = unit.decisions.get(decision.decision_id)
        self.ended[ended.reason if ended else None] += 1
        return spent_ms


def _delivery(name: str, now: datetime) -> Delivery:
    return Delivery(
        task_id=name,
        host="here",
        worker="benchmark@here",
        pid=os.getpid(),
        attempt=1,
        received_at=now,
        published_at=now,
    )


def stage_costs(sizes: Sequence[int], rounds: int, say: Say) -> list[StageCost]:
    say(f"the stage alone: {max(sizes)} symbols load their candles")
    with rig(symbols=max(sizes), strategies="never_trades", settings=SETTINGS) as made:
        logs.configure("benchmark", made.pipeline.settings)
        universes = [Universe(made, made.symbols[:size]) for size in sizes]
        taken: Mapping[int, list[float]] = {size: [] for size in sizes}
        for number in range(rounds):
            say(f"the stage alone, round {number + 1} of {rounds}")
            for universe in universes:
                taken[len(universe.symbols)] += [universe.fetch_ms() for _ in range(PASSES)]
        logs.unconfigure()
        for universe in universes:
            if set(universe.ended) != {EndReason.UNCHANGED}:
                raise RuntimeError(f"passes ended otherwise: {universe.ended}")
            universe.pipeline.ledger.close()
    smallest = statistics.median(taken[min(sizes)])
    return [
        StageCost(
            size,
            statistics.median(each),
            statistics.quantiles(each, n=10)[8],
            statistics.median(each) / smallest,
        )
        for size, each in taken.items()
    ]


# ------------------------------------------------------------------------------------------------ in a real worker


def worker_cost(size: int, rounds: int, say: Say) -> WorkerCost:
    """Blocks of passes and of empty tasks take turns; what the processes spend idling is taken off."""
    say(f"in its worker: {size} symbols load their candles")
    with rig(symbols=size, strategies="never_trades", settings=SETTINGS) as made:
        made.start_workers()
        made.start_noop_workers()
        for _ in range(3):
            made.decide(made.symbols)
        made.run_chains(made.symbols[:20], 1)
        idle = cpu.spent(made.roles, lambda: time.sleep(IDLE_S))
        block = [made.symbols[at % size] for at in range(WORKED)]
        asked = len(made.simulator.requests(KLINES))
        mine, empty = [], []
        for number in range(rounds):
            say(f"in its worker, {size} symbols, round {number + 1} of {rounds}")
            empty.append(_each(made, idle, "noop-market", lambda: made.run_chains(block, 1)))
            mine.append(_each(made, idle, "market", lambda: made.flow(made.symbols, WORKED)))
        klines = len(made.simulator.requests(KLINES)) - asked
    return WorkerCost(size, statistics.median(mine), statistics.median(empty), klines)


def _each(made: Rig, idle: cpu.Spent, role: str, work: Callable[[], object]) -> float:
    def settled() -> None:
        work()
        time.sleep(SETTLE_S)

    return cpu.spent(made.roles, settled).without(idle).cpu[role] * 1000 / WORKED


# ------------------------------------------------------------------------------------------------- with a feed


@dataclass(frozen=True, slots=True)
class Steady:
    """What happened in `for_s` seconds beside a feed, of which the last `kline_requests` should be 0."""

    symbols: int
    timeframes: int
    for_s: float
    bars_stored: int
    passes: int
    kline_requests: int


def steady(size: int, say: Say) -> Steady:
    """One minute of real time, with a close in it, at which the feed asks for a pass over each symbol."""
    frames = {"MARKET_TIMEFRAMES": "1m,3m,5m", "FEED_DECIDE_AT_CLOSE": "1m"}
    with rig(symbols=size, strategies="never_trades", settings={**SETTINGS, **frames}) as made:
        say(f"with a feed: {size} symbols load their candles")
        made.start_workers()
        made.start_feed()
        await_feed(made)
        say("with a feed: one minute, from half a minute past the next one on")
        sleep_until(
            (time.time() // MINUTE_S + 1.5) * MINUTE_S
        )  # what the first load left behind has come by then
        made.await_decisions()
        asked, judged = len(made.simulator.requests(KLINES)), _passes(made)
        with seen_in_store(made.redis.url) as seen:
            began = time.monotonic()
            time.sleep(MINUTE_S)
            made.await_decisions()
            return Steady(
                size,
                len(made.pipeline.timeframes),
                round(time.monotonic() - began, 1),
                len(seen.first_of_each(0)),
                _passes(made) - judged,
                len(made.simulator.requests(KLINES)) - asked,
            )


def _passes(made: Rig) -> int:
    with made.pipeline.ledger.read() as unit:
        return sum(unit.decisions.counts().values())


# ---------------------------------------------------------------------------------------------------- for people


def show(stages: Sequence[StageCost], workers: Sequence[WorkerCost], beside: Sequence[Steady]) -> None:
    """What was measured, and no table of what was not."""
    if stages:
        output.show(_of_stages(stages))
    if workers:
        output.show(_of_workers(workers))
    for fed in beside:
        print(f"with a feed, {fed.symbols} symbols, {fed.timeframes} timeframes, {fed.for_s} s:")
        told = f"{fed.passes} passes, {fed.kline_requests} requests for candles"
        print(f"{fed.bars_stored} series written, {told}")


def _of_stages(stages: Sequence[StageCost]) -> Table:
    table = Table(title="the fetch stage alone, CPU ms; 3 timeframes of 200 bars")
    for heading in ("symbols", "median", "90th percentile", "ratio"):
        table.add_column(heading, justify="right")
    for each in stages:
        table.add_row(str(each.symbols), f"{each.median_ms:.3f}", f"{each.p90_ms:.3f}", f"{each.ratio:.2f}")
    return table


def _of_workers(workers: Sequence[WorkerCost]) -> Table:
    table = Table(title="a pass in its worker, CPU ms, Celery included")
    for heading in ("symbols", "pass", "empty task", "difference", "requests for candles"):
        table.add_column(heading, justify="right")
    for each in workers:
        spent = (each.fetch_ms, each.empty_ms, each.fetch_ms - each.empty_ms)
        table.add_row(str(each.symbols), *(f"{ms:.2f}" for ms in spent), str(each.klines))
    return table


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.fetching", description=__doc__)
    made.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    made.add_argument("--rounds", type=int, default=10)
    made.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of symbols")
    made.add_argument("--only", choices=("stage", "worker", "feed"), help="only this part")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured."""
    wanted = parser().parse_args(arguments)
    say = saying.on_stderr()
    parts = (wanted.only,) if wanted.only else ("stage", "worker", "feed")
    stages = stage_costs(wanted.sizes, wanted.rounds, say) if "stage" in parts else []
    workers = [worker_cost(size, min(5, wanted.rounds), say) for size in wanted.sizes if "worker" in parts]
    beside = [steady(FED, say)] if "feed" in parts else []
    if wanted.json:
        record = {
            "stage": [asdict(each) for each in stages],
            "worker": [asdict(each) for each in workers],
            "feed": [asdict(each) for each in beside],
        }
        print(json.dumps(record, indent=2))
    else:
        show(stages, workers, beside)
    return 0


if __name__ == "__main__":
    sys.exit(main())
