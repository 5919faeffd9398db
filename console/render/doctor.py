"""The doctor's answer, as people read it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from console.output import add_row, on_terminal, plain_table
from console.render import values as v
from pipeline.domain.levels import Finding
from pipeline.domain.meanings import MEANINGS, weight_of
from pipeline.watch.checks import Status
from pipeline.watch.doctor import Diagnosis
from pipeline.watch.symptoms import Examination

STYLES = {
    Status.OK: "green",
    Status.FINDING: "bold red",
    Status.SKIPPED: "dim",
    Status.UNKNOWN: "yellow",
}


def render_diagnosis(diagnosis: Diagnosis) -> RenderableType:
    return Group(_ladder(diagnosis), Text(), *_verdict(diagnosis))


def _ladder(diagnosis: Diagnosis) -> Table:
    table = plain_table("rung", "check", "", "what it saw")
    rung = ""
    for each in diagnosis.ladder:
        shown = "" if each.check.rung == rung and on_terminal() else each.check.rung.value
        rung = each.check.rung.value
        add_row(table, shown, each.check.name, _status(each.answer.status), v.text(each.answer.detail))
    return table


def _status(status: Status) -> str:
    return f"[{STYLES[status]}]{status}[/]"


def _verdict(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    cause = diagnosis.cause
    if cause is None:
        said = "nothing is wrong" if diagnosis.is_well else "nothing was found, but not all could be checked"
        yield Text.from_markup(f"[bold]{said}[/] on {escape(diagnosis.account)}")
        return
    yield from _cause(cause)
    others = [each for each in diagnosis.grave if each is not cause]
    consequences = [each.code.value for each in others if diagnosis.cause_of(each) is not None]
    for each in others:
        if diagnosis.cause_of(each) is None:
            yield Text.from_markup(f"[bold]also[/]  {each.code} {escape(each.detail)}")
    if consequences:
        yield Text.from_markup(f"[dim]its consequences: {', '.join(dict.fromkeys(consequences))}[/]")


def _cause(cause: Finding) -> Iterator[RenderableType]:
    about = f"{cause.code} {cause.subject}".strip()
    yield Text.from_markup(f"[bold red]{escape(about)}[/] ({weight_of(cause)}): {MEANINGS[cause.code].says}")
    yield Text.from_markup(f"  seen  {escape(cause.detail)}")
    for each in cause.evidence:
        yield Text.from_markup(f"        {escape(each)}")
    yield Text.from_markup(f"  so    {escape(MEANINGS[cause.code].do)}")


def render_examination(examination: Examination) -> RenderableType:
    table = plain_table("step", "", "what it says")
    for each in examination.steps:
        add_row(table, escape(each.step), _status(each.status), v.text(each.detail))
    blocked = examination.blocked_by
    said = (
        f"[bold red]{escape(blocked.step)}[/] keeps it from trading: {escape(blocked.detail)}"
        if blocked
        else "nothing keeps it from trading, but that no strategy wanted to"
    )
    head = Text.from_markup(f"\n[bold]{escape(examination.symbol)}[/]")
    return Group(head, table, Text(), Text.from_markup(said))
