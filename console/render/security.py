"""What `doctor --security` says, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from console.output import add_row, plain_table
from console.render import values as v
from console.render.doctor import STYLES
from console.securing.answers import Told
from pipeline.watch.checks import Status


def render_security(told: Sequence[Told]) -> RenderableType:
    table = plain_table("check", "", "what it saw")
    for each in told:
        add_row(table, each.about, f"[{STYLES[each.status]}]{each.status}[/]", v.text(each.saw))
    return Group(table, Text(), *_steps(told))


def _steps(told: Sequence[Told]) -> Iterator[RenderableType]:
    todo = [each for each in told if each.status in (Status.FINDING, Status.UNKNOWN)]
    if not todo:
        yield Text.from_markup(
            "[bold]nothing stands open that was looked at[/]; docs/security.md says what was not"
        )
    for each in todo:
        yield Text.from_markup(f"[bold]{each.about}[/] {escape(each.saw)}")
        yield Text.from_markup(f"  so    {escape(each.do)}")
