"""The whole story of one decision, for people: readable at 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from console.output import add_row, plain_table
from console.render import values as v
from console.render.story import verdict_line
from console.render.trade import exits, fills, orders, permit, position
from console.render.values import Record
from console.render.waterfall import waterfall
from pipeline.domain.checks import NOT_APPLICABLE


def render_trace(trace: Record) -> Group:
    """What `throughline trace ID` shows. Sections without content are left out."""
    return Group(header(trace), *(part for title, body in sections(trace) for part in _section(title, body)))


def sections(trace: Record) -> Iterator[tuple[str, RenderableType | None]]:
    yield "Stages", waterfall(trace)
    yield "Candles", candles(trace)
    yield "Strategies", strategies(trace)
    yield checks_title(trace), checks(trace)
    yield "Permit", permit(trace)
    yield "Orders", orders(trace)
    yield "Fills", fills(trace)
    yield "Position", position(trace)
    yield "Exits", exits(trace)


def _section(title: str, body: RenderableType | None) -> Iterator[RenderableType]:
    if body is not None:
        yield Text.from_markup(f"\n[bold]{title}[/]")
        yield Padding.indent(body, 2)


def header(trace: Record) -> RenderableType:
    """Identity, outcome with its reason, and when."""
    lines = [
        _identity(trace),
        f"{v.outcome(trace.get('outcome'))}  {v.text(trace.get('reason'))}",
        *(f"  {v.text(line)}" for line in str(trace.get("detail") or "").splitlines()),
        _when(trace),
    ]
    return Text.from_markup("\n".join(lines))


def _identity(trace: Record) -> str:
    dry = "   dry run" if trace.get("dry_run") else ""
    decision, symbol = v.text(trace.get("decision_id")), v.text(trace.get("symbol"))
    mode, config = v.text(trace.get("mode")), v.text(trace.get("config_hash"))
    return f"[bold]{decision}[/]   [bold]{symbol}[/]   {mode}{dry}   [dim]config {config}[/]"


def _when(trace: Record) -> str:
    took = v.milliseconds(v.took_ms(trace.get("enqueued_at"), trace.get("ended_at"))) or "not ended yet"
    parts = [
        f"slot {v.date_and_time(trace.get('slot'))} UTC",
        f"from {v.text(trace.get('origin'))}",
        f"enqueued {v.clock(trace.get('enqueued_at'))}",
        f"took {took}" if trace.get("ended_at") else took,
    ]
    return f"[dim]{' · '.join(parts)}[/]"


def candles(trace: Record) -> RenderableType | None:
    """One line as the logs have it (`30m=ok 1h=ok 4h=missing`), then what each timeframe held."""
    ranges = candle_ranges(trace)
    if not ranges:
        return None
    table = plain_table("timeframe", "bars", "first open", "last open", "source", "problem", right=("bars",))
    for each in ranges:
        add_row(
            table,
            _ok(not each.get("problem"), v.text(each.get("timeframe"))),
            v.text(each.get("count")),
            v.date_and_time(each.get("first_open")),
            v.date_and_time(each.get("last_open")),
            v.text(each.get("source")),
            v.text(each.get("problem")),
        )
    standing = ((each.get("timeframe"), "missing" if each.get("problem") else "ok") for each in ranges)
    return Group(Text(" ".join(f"{timeframe}={word}" for timeframe, word in standing)), table)


def candle_ranges(trace: Record) -> list[Record]:
    """The ranges that the fetch stage wrote."""
    for stage in v.records(trace.get("stages")):
        if stage.get("stage") == "fetch":
            return list(v.records(v.record(stage.get("output")).get("ranges") or stage.get("ranges")))
    return []


def strategies(trace: Record) -> RenderableType | None:
    verdicts = v.records(trace.get("verdicts"))
    if not verdicts:
        return None
    table = plain_table("strategy", "regime", "verdict", headed=False)
    for verdict in verdicts:
        name = v.text(verdict.get("strategy"))
        add_row(
            table,
            f"[bold]{name}[/]" if verdict.get("chosen") else name,
            v.text(verdict.get("regime")),
            verdict_line(verdict),
        )
    return table


def checks_title(trace: Record) -> str:
    found = v.records(trace.get("checks"))
    idle = sum(1 for check in found if check.get("limit") == NOT_APPLICABLE)
    denied = sum(1 for check in found if not check.get("ok"))
    return (
        f"Checks   [green]{len(found) - denied - idle} allow[/]"
        + (f"   [red]{denied} deny[/]" if denied else "")
        + (f"   [dim]{idle} do not apply[/]" if idle else "")
    )


def checks(trace: Record) -> RenderableType | None:
    """Every check, the denying ones first in red: what it saw against what is allowed."""
    everything = v.records(trace.get("checks"))
    found = [check for check in everything if check.get("limit") != NOT_APPLICABLE]
    idle = [check for check in everything if check.get("limit") == NOT_APPLICABLE]
    if not everything:
        return None
    table = plain_table("check", "value", "limit", "")
    for check in sorted(found, key=lambda each: bool(each.get("ok"))):
        add_row(
            table,
            _ok(bool(check.get("ok")), v.text(check.get("code"))),
            v.text(check.get("value")),
            v.text(check.get("limit")),
            f"[dim]{v.text(check.get('detail'))}[/]",
        )
    return Group(table, _without_a_say(idle)) if idle else table


def _without_a_say(checks: Sequence[Record]) -> Text:
    names = ", ".join(v.text(check.get("code")) for check in checks)
    return Text(f"not for an order that {v.text(checks[0].get('value'))}: {names}", style="dim")


def _ok(good: bool, name: str) -> str:
    return f"[green]ok[/]  {name}" if good else f"[bold red]no  {name}[/]"
