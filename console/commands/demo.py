"""`throughline demo`: the whole pipeline against the simulated exchange, a minute and a half, watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import requests
import typer
from rich.console import Console
from rich.live import Live

from config.loading import Loaded, read
from console import failures
from console.condition import queue_depths
from console.flow import Flow
from console.output import console, rule, show
from console.preparing import prepare
from console.records import pipeline_of
from console.render.flow import ended_line, live_view, progress_line, summary
from console.render.trace import render_trace
from console.stories import story
from console.supervise.programs import Role
from console.supervise.readiness import SIMULATOR_HEALTH
from console.supervise.session import Overlay
from console.supervise.start import Plan, Running, flower_login, flower_url, running
from console.supervise.waiting import Interrupted, Interrupts
from pipeline.domain.decisions import Decision, Mode
from pipeline.domain.errors import ConfigError
from pipeline.domain.outcomes import Outcome

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

LONGER_S = 60.0
LINE_EVERY_S = 5.0
_DRAIN_MARGIN_S = 15.0


def demo() -> None:
    """Run everything against the simulated exchange, watched; ends with the trace of an executed decision."""
    out, interrupts = console(), Interrupts()
    since = datetime.now(UTC)
    plan = Plan(overlay=_overlay(read(session=False)), prepare=prepare, adjust=_universe, keeps_journal=True)
    try:
        with interrupts.listening(), running(plan, interrupts, out) as everything:
            flow = Demo(everything, out, since).run()
            _tell_the_end(out, everything, flow)
    except Interrupted:
        out.print("the demo was stopped before its end")
        raise typer.Exit(failures.FINDING) from None
    out.print("everything is stopped")
    problem = complaint(flow)
    if problem:
        out.print(f"[bold red]{problem}[/]", soft_wrap=True)
        raise typer.Exit(failures.FINDING)


def _overlay(loaded: Loaded) -> Overlay:
    """A fast cadence and short bars. Raises: ConfigError when the mode is not paper."""
    settings = loaded.settings
    if settings.mode is not Mode.PAPER:
        raise ConfigError(
            f"the demo trades paper money only, and mode is {settings.mode}",
            where="mode",
            remedy="unset THROUGHLINE_MODE, or use `throughline up`",
        )
    if settings.has_broker:
        raise ConfigError(
            "the demo runs on the simulated exchange, whose prices move fast enough to be watched",
            where="paper.fills",
            remedy="leave it at simulator for the demo, or use `throughline up`",
        )
    own = "market.timeframes" in loaded.sources
    seen = settings.market.timeframes if own else settings.demo.timeframes
    return {
        "chain.cadence_s": settings.demo.cadence_s,
        "market.timeframes": list(seen),
        "feed.decide_at_close": [each for each in settings.demo.decide_at_close if each in seen],
    }


def _universe(loaded: Loaded) -> Overlay:
    """What the simulated exchange lists, unless you named symbols yourself. Raises: ConfigError."""
    if "universe.symbols" in loaded.sources:
        return {}
    settings = loaded.settings
    url = f"{settings.simulator_url}{SIMULATOR_HEALTH}"
    try:
        listed = requests.get(url, timeout=5).json()["symbols"]
    except (requests.RequestException, KeyError) as error:
        raise ConfigError(f"the simulated exchange does not say what it lists: {error}", where=url) from error
    return {"universe.symbols": [str(symbol) for symbol in listed[: settings.simulator.symbols]]}


def complaint(flow: Flow) -> str:
    """What must not happen in a demo; empty when all is well."""
    if flow.enqueued != flow.ended:
        return f"{flow.open} of {flow.enqueued} decisions did not end: `throughline decisions --outcome open`"
    if not flow.executed:
        return (
            "no decision was executed: nothing to do at these prices; try another THROUGHLINE_SIMULATOR_SEED"
        )
    return ""


@dataclass(frozen=True, slots=True)
class Demo:
    """One run of the demo, on a host where everything is up."""

    everything: Running
    out: Console
    since: datetime

    def run(self) -> Flow:
        """Watch, let the chain drain, and say what became of all decisions. Raises: Interrupted."""
        pipeline = pipeline_of(self.everything.settings)
        flow = Flow(self.since, pipeline.account)
        self._introduce()
        self._watch(pipeline, flow)
        self._drain(pipeline, flow)
        return flow

    def _introduce(self) -> None:
        seconds = self.everything.settings.demo.seconds
        symbols = len(self.everything.settings.universe.symbols)
        self.out.print(f"\ntrading {symbols} symbols for {seconds} s. {self.how_to_look()}", soft_wrap=True)

    def how_to_look(self) -> str:
        settings = self.everything.settings
        flower = (
            f"Flower: {flower_url(settings)} ({flower_login(settings)}) · " if settings.flower.enabled else ""
        )
        return f"{flower}throughline status · decisions · trace ID · grep ID {settings.home}/logs/all.jsonl"

    def _watch(self, pipeline: Pipeline, flow: Flow) -> None:
        """Until the time is over; up to a minute longer while nothing was executed."""
        live = (
            Live(console=self.out, auto_refresh=False, transient=True)
            if self.out.is_terminal
            else nullcontext()
        )
        seconds = self.everything.settings.demo.seconds
        with live as screen:
            shown = Shown(self, pipeline, flow, screen)
            for gone in self.everything.host.watch(seconds + LONGER_S):
                shown.show(gone, flow.look(pipeline.ledger))
                if gone >= seconds and flow.executed:
                    break
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.everything.host.interrupts.asked:
            raise Interrupted

    def _drain(self, pipeline: Pipeline, flow: Flow) -> None:
        """Beat and the feed first, so that nothing new comes; then what is in the chain ends."""
        host, chain = self.everything.host, self.everything.settings.chain
        host.stop([Role.WATCH])  # it would miss beat
        host.stop([Role.BEAT, Role.FEED])
        with host.progress.step("draining") as found:
            for _ in host.watch(chain.deadline_s + chain.resume_after_s + _DRAIN_MARGIN_S):
                flow.look(pipeline.ledger)
                if flow.open == 0:
                    break
            found.text = f"{flow.ended} of {flow.enqueued} decisions have ended"
        self._stop_if_asked()


@dataclass(slots=True)
class Shown:
    """The view while the demo runs: in place on a terminal, as lines elsewhere."""

    demo: Demo
    pipeline: Pipeline
    flow: Flow
    screen: Live | None
    _next_line_at: float = 0.0

    def show(self, gone_s: float, ended: list[Decision]) -> None:
        queues = queue_depths(self.pipeline.settings.redis_url)
        if self.screen is not None:
            footer = self.demo.how_to_look()
            self.screen.update(live_view(self.flow, queues, gone_s, footer), refresh=True)
            return
        for line in self._lines(gone_s, ended, queues):
            self.demo.out.print(line, soft_wrap=True)

    def _lines(self, gone_s: float, ended: list[Decision], queues: Mapping[str, int] | None) -> Iterator[str]:
        yield from (ended_line(decision) for decision in ended if decision.outcome is Outcome.EXECUTED)
        if gone_s >= self._next_line_at:
            self._next_line_at = gone_s + LINE_EVERY_S
            yield progress_line(self.flow, queues, gone_s)


def _tell_the_end(out: Console, everything: Running, flow: Flow) -> None:
    """The summary, the trace of an executed decision, and where to look further."""
    for part in summary(flow):
        show(part)
    if not flow.executed:
        return
    entries = [decision for decision in flow.executed if not decision.origin.is_exit]
    shown = (entries or flow.executed)[-1].decision_id
    rule(out, "the whole story of an executed decision")
    show(render_trace(story(pipeline_of(everything.settings).ledger, shown)))
    rule(out)
    home = everything.settings.home
    out.print("look further:", style="bold")
    out.print("  throughline decisions --outcome executed", markup=False)
    out.print(f"  throughline trace {shown}", markup=False)
    out.print(f"  grep {shown} {home}/logs/all.jsonl", markup=False, soft_wrap=True)
    out.print()
