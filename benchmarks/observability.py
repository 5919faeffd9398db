"""`python -m benchmarks.observability`: what it costs a decision to be observed.

Decisions run in this process, once as they always do and once without what is only there to be looked at: no event is
emitted (so no log line is made), and the rows that no stage reads (strategies' verdicts, checks) are not written. The
ways alternate in blocks; the shares are of the CPU of a decision without Celery, which would only make them smaller.
Metrics cost a decision nothing: they are counted in the ledger when somebody asks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from unittest import mock

from rich.table import Table

from benchmarks.measures import KINDS, Kind
from benchmarks.rig import LOOK_AGAIN_S, PATIENCE_S, Rig, rig
from console import output
from pipeline.bootstrap import Pipeline
from pipeline.domain.decisions import Decision, Delivery, Origin, Stage
from pipeline.domain.errors import Transient
from pipeline.domain.events import Area, EventName, Level
from pipeline.domain.ids import task_id
from pipeline.ledger.verdicts import SqlVerdicts
from pipeline.stages.opening import PassRequest
from pipeline.stages.running import Handoff
from pipeline.trace import context, logs

SYMBOLS = 60
ROUNDS = 7
AIM = 0.15


class Silent:
    """Nothing is said."""

    def emit(self, name: EventName, /, *, level: Level | None = None, **fields: object) -> None:
        """Nothing."""

    def wants(self, area: Area) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Observed:
    """CPU milliseconds of one decision: as it is, without its lines, and without its rows as well."""

    kind: str
    whole: float
    without_lines: float
    without_rows: float

    @property
    def share(self) -> float:
        """What observing it costs, as a fraction of its CPU."""
        return 1 - self.without_rows / self.whole


def measure(kind: Kind, rounds: int) -> Observed:
    """Medians over rounds in which the three ways take turns."""
    with rig(symbols=SYMBOLS, strategies=kind.strategies) as made:
        logs.configure("benchmark", made.pipeline.settings)
        silent = replace(made.pipeline, events=Silent())
        symbols = _fitting(made, kind)
        ways: dict[str, tuple[Pipeline, Callable[[], AbstractContextManager[None]]]] = {
            "whole": (made.pipeline, nullcontext),
            "lines": (silent, nullcontext),
            "rows": (silent, _without_rows),
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (pipeline, around) in ways.items():
                made.flatten()
                with around():
                    took[name].append(_block(pipeline, symbols))
        logs.unconfigure()
    medians = {name: statistics.median(each) for name, each in took.items()}
    return Observed(kind.name, medians["whole"], medians["lines"], medians["rows"])


def _fitting(made: Rig, kind: Kind) -> Sequence[str]:
    """The symbols whose decisions end as this kind's do; the first round also warms everything up."""
    decided = [_decide(made.pipeline, symbol) for symbol in made.symbols]
    ended = made.ended([each.decision_id for each in decided])
    return [decision.symbol for decision in ended if decision.outcome is kind.outcome]


@contextmanager
def _without_rows() -> Iterator[None]:
    nothing = mock.Mock(return_value=None)
    with (
        mock.patch.object(SqlVerdicts, "add", nothing),
        mock.patch.object(SqlVerdicts, "add_checks", nothing),
    ):
        yield


def _block(pipeline: Pipeline, symbols: Sequence[str]) -> float:
    """CPU milliseconds a decision."""
    began = time.process_time()
    for symbol in symbols:
        _decide(pipeline, symbol)
    return (time.process_time() - began) * 1000 / len(symbols)


def _decide(pipeline: Pipeline, symbol: str) -> Decision:
    """One decision from its opening to its end, with the context that a worker binds."""
    now = pipeline.clock.now()
    decision = pipeline.open(PassRequest.manual(symbol, now, Origin.CLI)).decision
    stage: Stage | None = Stage.FETCH
    while stage is not None:
        task = task_id(decision.decision_id, stage.value)
        with context.bound(**decision.headers(), stage=stage.value, task_id=task):
            handoff = _run(pipeline, stage, decision, _delivery(pipeline, task))
        stage = handoff.stage if handoff else None
    return decision


def _run(pipeline: Pipeline, stage: Stage, decision: Decision, delivery: Delivery) -> Handoff | None:
    """As a worker does: what is not there yet, the bars of the first round say, is asked for again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return pipeline.runner.run(stage, decision.decision_id, delivery, decision.symbol)
        except Transient:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_AGAIN_S)


def _delivery(pipeline: Pipeline, task: str) -> Delivery:
    now = pipeline.clock.now()
    return Delivery(
        task_id=task,
        host="here",
        worker="bench@here",
        pid=os.getpid(),
        attempt=1,
        received_at=now,
        published_at=now,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when a share is above the aim."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    wanted = parser.parse_args(arguments)
    found = [measure(kind, wanted.rounds) for kind in KINDS.values()]
    if wanted.json:
        print(json.dumps([{**asdict(each), "share": each.share} for each in found], indent=2))
    else:
        _show(found)
    return int(any(each.share > AIM for each in found))


def _show(found: Sequence[Observed]) -> None:
    table = Table(title=f"CPU ms of a decision in one process, and what observing it costs (aim < {AIM:.0%})")
    for heading in ("", "whole", "lines", "rows", "share"):
        table.add_column(heading, justify="right" if heading else "left")
    for each in found:
        lines, rows = each.whole - each.without_lines, each.without_lines - each.without_rows
        table.add_row(each.kind, f"{each.whole:.2f}", f"{lines:.2f}", f"{rows:.2f}", f"{each.share:.1%}")
    output.show(table)


if __name__ == "__main__":
    sys.exit(main())
