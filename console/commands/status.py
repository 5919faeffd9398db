"""`throughline status`: how it is right now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from console.accounts import settings_of_account
from console.commands.options import AsJson
from console.commands.switches import as_record
from console.condition import Condition, look
from console.output import print_json, show
from console.records import opened, pipeline_of
from console.render import values as v
from pipeline.domain.levels import Level, Severity
from pipeline.domain.timeframes import iso

STYLES = {Severity.NOTICE: "dim", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}


def status(as_json: AsJson = False) -> None:
    """What runs, what waits, how decisions ended, whether it may trade. Exit code 1: a finding."""
    opened()
    pipeline = pipeline_of(settings_of_account())
    condition = look(pipeline)
    findings = condition.findings(pipeline.settings.governor.equity_max_age_s)
    if as_json:
        print_json({**as_json_record(condition), "findings": findings})
    else:
        _show(condition, findings)
    if findings:
        raise typer.Exit(1)


def as_json_record(condition: Condition) -> dict[str, object]:
    running = condition.processes
    equity = condition.equity
    return {
        "at": iso(condition.at),
        "account": condition.account,
        "running": running is not None,
        "processes": [
            {"name": each.name, "state": each.state, "pid": each.pid, "description": each.description}
            for each in running or ()
        ],
        "queues": condition.queues,
        "decisions": condition.decisions,
        "decisions_last_hour": condition.decisions_last_hour,
        "open_decisions": condition.open_decisions,
        "equity": str(equity.equity) if equity else None,
        "equity_at": iso(equity.occurred_at) if equity else None,
        "equity_age_s": condition.equity_age_s,
        "open_positions": condition.open_positions,
        "kill_switches": [as_record(switch) for switch in condition.switches],
        "trading": condition.trading.value,
        "levels": [_level_record(level) for level in condition.levels],
        "watched_at": iso(condition.watched_at),
    }


def _level_record(level: Level) -> dict[str, object]:
    return {
        "code": level.code.value,
        "subject": level.subject,
        "severity": level.severity.value,
        "detail": level.detail,
        "since": iso(level.since),
        "cause": level.cause.value if level.cause else None,
    }


def _show(condition: Condition, findings: list[str]) -> None:
    todo = (Text.from_markup(f"[yellow]! {escape(finding)}[/]") for finding in findings)
    show(Group(*_lines(condition), *todo))


def _lines(condition: Condition) -> Iterator[RenderableType]:
    for level in condition.levels:
        yield _level(level)
    yield _line("account", f"{escape(condition.account)}, trading [bold]{condition.trading}[/]")
    yield _line("processes", _processes(condition))
    yield _line("watched", _watched(condition))
    yield _line("queues", "Redis does not answer" if condition.queues is None else _counts(condition.queues))
    yield _line("last hour", f"{_outcomes(condition.decisions_last_hour)} [dim](of every account)[/]")
    yield _line("in all", f"{_outcomes(condition.decisions)} [dim](of every account)[/]")
    yield _line("equity", _equity(condition))
    yield _line("positions", f"{condition.open_positions} open")
    for switch in condition.switches:
        yield _line("kill switch", f"[red]{switch.scope} {escape(switch.name)}[/] {escape(switch.reason)}")


def _level(level: Level) -> Text:
    """The loudest cause stands on top; what is only a consequence is dim."""
    about = escape(f"{level.code} {level.subject}".strip())
    since = f"since {level.since:%H:%M:%S}"
    if level.cause is not None:
        return Text.from_markup(f"[dim]  {about} {since}, by {level.cause}[/]")
    style = STYLES[level.severity]
    return Text.from_markup(f"[{style}]{about}[/] {since}: {escape(level.detail)}")


def _watched(condition: Condition) -> str:
    if condition.watched_at is None:
        return "[yellow]by nobody[/]: no watchdog lives"
    return f"last look {(condition.at - condition.watched_at).total_seconds():.0f} s ago"


def _line(name: str, text: str) -> Text:
    return Text.from_markup(f"[dim]{name:<12}[/] {text}")


def _processes(condition: Condition) -> str:
    if condition.processes is None:
        return "no `throughline up` runs with this home"
    return "  ".join(f"{each.name} {_state(each.state)}" for each in condition.processes)


def _state(state: str) -> str:
    return f"[{'green' if state == 'RUNNING' else 'red'}]{state.lower()}[/]"


def _counts(counts: Mapping[str, int]) -> str:
    return "  ".join(f"{name} [bold]{count}[/]" for name, count in counts.items())


def _outcomes(counts: Mapping[str, int]) -> str:
    shown = "  ".join(f"{v.outcome(name)} {count}" for name, count in counts.items() if count)
    return shown or "no decisions"


def _equity(condition: Condition) -> str:
    if condition.equity is None:
        return "never recorded"
    return f"{v.money(condition.equity.equity)} USDT, {condition.equity_age_s:.0f} s old"
