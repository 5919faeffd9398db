"""The live view of the demo, and its summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from console.flow import Flow, percentile
from console.render import values as v
from pipeline.domain.decisions import Decision


def live_view(flow: Flow, queues: Mapping[str, int] | None, gone_s: float, footer: str) -> RenderableType:
    """The whole picture, refreshed in place on a terminal."""
    head = Text.from_markup(
        f"\n[bold]{gone_s:4.0f} s[/]   enqueued [bold]{flow.enqueued}[/]   ended [bold]{flow.ended}[/]   "
        f"open {flow.open}   {outcomes_line(flow)}"
    )
    figures = Columns([stages_table(flow, queues), account_table(flow)], padding=(0, 4))
    return Group(head, Text(), figures, Text(), newest_table(flow), Text.from_markup(f"\n[dim]{footer}[/]"))


def outcomes_line(flow: Flow) -> str:
    return "  ".join(f"{v.outcome(name)} {count}" for name, count in flow.outcomes.most_common() if count)


def stages_table(flow: Flow, queues: Mapping[str, int] | None = None) -> Table:
    table = _table("stage", "done", "waiting", "waited p50", "ran p50", "ran p99", right=True)
    for stage, figures in flow.stages.items():
        table.add_row(
            stage.value,
            str(len(figures.run_ms)),
            "?" if queues is None else str(queues.get(stage.value, 0)),
            v.milliseconds(percentile(figures.wait_ms, 0.5)),
            v.milliseconds(percentile(figures.run_ms, 0.5)),
            v.milliseconds(percentile(figures.run_ms, 0.99)),
        )
    return table


def account_table(flow: Flow) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    if flow.equity is not None:
        table.add_row("[dim]equity[/]", f"[bold]{v.money(flow.equity.equity)}[/] USDT")
    for position in flow.positions[:5]:
        held = f"{escape(position.symbol)} {v.number(position.qty)} at {v.price(position.entry_price)}"
        table.add_row(v.direction(position.side), held)
    if len(flow.positions) > 5:
        table.add_row("", f"[dim]and {len(flow.positions) - 5} more positions[/]")
    return table


def newest_table(flow: Flow) -> Table:
    table = _table("ended", "decision", "symbol", "outcome", "why")
    for column, width in zip(table.columns, (8, 32, 14, 9), strict=False):
        column.min_width = width  # where the terminal is narrow, only the last column gives way
    for decision in reversed(flow.newest):
        table.add_row(
            f"{decision.ended_at:%H:%M:%S}" if decision.ended_at else "",
            decision.decision_id,
            escape(decision.symbol),
            v.outcome(decision.outcome),
            _why(decision),
        )
    return table


def _why(decision: Decision) -> str:
    reason = str(decision.reason or "")
    return f"{reason} [dim]{v.first_line(decision.detail, 40)}[/]" if decision.detail else reason


def ended_line(decision: Decision) -> str:
    """One line for one decision, for plain output."""
    took = (decision.ended_at - decision.enqueued_at).total_seconds() * 1000 if decision.ended_at else None
    return (
        f"        {v.outcome(decision.outcome)} {decision.decision_id} {escape(decision.symbol)} "
        f"{decision.reason} in {v.milliseconds(took)}: {v.first_line(decision.detail, 90)}"
    )


def progress_line(flow: Flow, queues: Mapping[str, int] | None, gone_s: float) -> str:
    """One line for now, for plain output."""
    waiting = "?" if queues is None else str(sum(queues.values()))
    return (
        f"{gone_s:5.0f} s  enqueued {flow.enqueued}  ended {flow.ended}  in queues {waiting}  "
        f"positions {len(flow.positions)}  {outcomes_line(flow)}"
    )


def summary(flow: Flow) -> Iterator[RenderableType]:
    """What became of all of them: enqueued = ended, by outcome and reason, and how long it took."""
    equal = "=" if flow.enqueued == flow.ended else "≠"
    yield Text.from_markup(f"\n[bold]enqueued {flow.enqueued} {equal} {flow.ended} ended[/]\n")
    reasons = _table("outcome", "reason", "decisions")
    for (outcome, reason), count in flow.reasons.most_common():
        reasons.add_row(v.outcome(outcome), escape(reason), str(count))
    yield reasons
    yield Text()
    took = _table("from enqueueing to the end", "decisions", "p50", "p90", "p99", "slowest", right=True)
    for outcome, values in flow.took_ms.items():
        figures = [percentile(values, fraction) for fraction in (0.5, 0.9, 0.99, 1.0)]
        took.add_row(v.outcome(outcome), str(len(values)), *(v.milliseconds(figure) for figure in figures))
    yield took
    yield Text()
    yield stages_table(flow, {})


def _table(*columns: str, right: bool = False) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for at, name in enumerate(columns):
        table.add_column(name, justify="right" if right and at else "left", no_wrap=True, overflow="ellipsis")
    return table
