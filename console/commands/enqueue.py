"""`throughline enqueue`: one decision now, through the same chain and the same checks as every other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live

from console.commands.options import AsJson
from console.output import console, print_json, show
from console.records import writing
from console.render.trace import render_trace
from console.render.values import Record
from console.stories import story
from pipeline.domain.decisions import Decision, Origin

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

Show = Callable[[Record], None]

_LOOK_EVERY_S = 0.1
_GRACE_S = 15.0


def enqueue(
    symbol: Annotated[str, typer.Argument(help="In any usual spelling: BTC/USDT:USDT, BTC/USDT, BTCUSDT.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Show the trace as it grows, until the decision ended.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="All checks, and no order.")] = False,
    as_json: AsJson = False,
) -> None:
    """Enqueue one decision now and print its id."""
    from tasks import enqueue as enqueue_now  # noqa: PLC0415  only this command needs Celery

    pipeline = writing()
    decision = enqueue_now(symbol, origin=Origin.CLI, dry_run=dry_run)
    if not wait:
        _say(decision, pipeline, as_json=as_json)
        return
    ended = _json_at_the_end(pipeline, decision) if as_json else _follow(console(), pipeline, decision)
    if not ended:
        raise typer.Exit(1)


def _say(decision: Decision, pipeline: Pipeline, *, as_json: bool) -> None:
    if as_json:
        print_json(story(pipeline.ledger, decision.decision_id))
        return
    console().print(decision.decision_id)
    if decision.reason is not None:
        console().print(
            f"ended at once: {decision.outcome} {decision.reason} {decision.detail}", markup=False
        )


def _patience(pipeline: Pipeline) -> float:
    """A decision ends by its deadline, or the sweeper ends it soon after."""
    chain = pipeline.settings.chain
    return chain.deadline_s + chain.resume_after_s + _GRACE_S


def _json_at_the_end(pipeline: Pipeline, decision: Decision) -> bool:
    trace = _until_ended(pipeline, decision, lambda trace: None)
    print_json(trace)
    return bool(trace.get("ended_at"))


def _follow(out: Console, pipeline: Pipeline, decision: Decision) -> bool:
    """On a terminal the trace grows in place; elsewhere each stage is a line, and the trace comes last."""
    if out.is_terminal:
        with Live(console=out, auto_refresh=False) as live:
            trace = _until_ended(
                pipeline, decision, lambda trace: live.update(render_trace(trace), refresh=True)
            )
    else:
        told = Told(out, decision.decision_id)
        trace = _until_ended(pipeline, decision, told.tell)
        out.print()
        show(render_trace(trace))
    if not trace.get("ended_at"):
        out.print(f"\nnot ended after {_patience(pipeline):.0f} s: do workers run? `throughline status`")
    return bool(trace.get("ended_at"))


class Told:
    """Says each stage once."""

    def __init__(self, out: Console, decision_id: str) -> None:
        self._out = out
        self._stages = 0
        out.print(decision_id)

    def tell(self, trace: Record) -> None:
        stages = trace.get("stages") or []
        for stage in stages[self._stages :]:
            self._out.print(
                f"{stage['stage']:<9} {stage['result']:<7} {stage['run_ms']:.1f} ms", markup=False
            )
        self._stages = len(stages)


def _until_ended(pipeline: Pipeline, decision: Decision, show: Show) -> Record:
    until = time.monotonic() + _patience(pipeline)
    while True:
        trace = story(pipeline.ledger, decision.decision_id)
        show(trace)
        if trace.get("ended_at") or time.monotonic() > until:
            return trace
        time.sleep(_LOOK_EVERY_S)
