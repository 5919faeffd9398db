"""Where words go: tables and colour on a terminal, plain columns in a pipe, JSON where it was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import IO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.markup import render
from rich.rule import Rule
from rich.table import Table

EMPTY = "-"
GAP = 2
NARROWEST = 20
"""What is left of a column that gives way; where there is less room, it is left out or the lines get longer."""
RULE_WIDTH = 100
"""Of a line across where there is no terminal to cross."""
_ENDLESS = 1_000_000


def on_terminal(stream: IO[str] | None = None) -> bool:
    """Whether a person looks. What goes elsewhere goes into `grep` and `awk`: whole, one record a line."""
    return (stream or sys.stdout).isatty()


def console(stream: IO[str] | None = None) -> Console:
    """A console for people: as wide as the terminal, and of endless width where there is none."""
    stream = stream or sys.stdout
    return _console(stream, None if on_terminal(stream) else _ENDLESS)


def _console(stream: IO[str], width: int | None) -> Console:
    """Without emoji: the `:watch:` of a key, or of somebody's reason, stays what it is."""
    return Console(file=stream, width=width, highlight=False, emoji=False)


def print_json(value: object) -> None:
    """One JSON document. Money and ids as text, times in ISO 8601 UTC."""
    said = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    if not encodes(said):
        said = json.dumps(value, indent=2, default=_plain)
    sys.stdout.write(said + "\n")


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A table before anybody knows how wide it may be.

    Where a terminal is too narrow, the columns of `gives` wrap, then those of `spare` are left out, the first one
    first. The others are never cut: if they do not fit, the lines are longer than the terminal.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[str]
    gives: Sequence[str]
    spare: Sequence[str]
    widest: Mapping[str, int]

    def fitting(self, width: int) -> Sequence[str]:
        """The columns that a terminal of this width shows."""
        shown = list(self.columns)
        for name in self.spare:
            if self.least(shown) > width:
                shown.remove(name)
        return shown

    def least(self, names: Sequence[str]) -> int:
        """How much room these columns need."""
        return sum(self.least_of(name) for name in names) + GAP * (len(names) - 1)

    def least_of(self, name: str) -> int:
        return min(self.widest[name], NARROWEST) if name in self.gives else self.widest[name]

    def fill(self, made: Table, names: Sequence[str], empty: str = "") -> Table:
        for name in names:
            made.add_column(
                name,
                justify="right" if name in self.right else "left",
                no_wrap=name not in self.gives,
                min_width=self.least_of(name),
                overflow="fold",
            )
        places = [self.columns.index(name) for name in names]
        for row in self.rows:
            made.add_row(*(row[place] or empty for place in places))
        return made


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Sequence[str] = (),
    *,
    gives: Sequence[str] | None = None,
    spare: Sequence[str] = (),
) -> Listing:
    """Columns by name, those in `right` right-aligned. Cells are rich markup: escape what is data.

    The last column gives way unless others are named, or none.
    """
    cells = [["" if cell is None else one_line(cell) for cell in row] for row in rows]
    down = zip(columns, *cells, strict=True)
    return Listing(
        columns=columns,
        rows=cells,
        right=right,
        gives=columns[-1:] if gives is None else gives,
        spare=spare,
        widest={each[0]: max(cell_len(render(text).plain) for text in each) for each in down},
    )


def one_line(value: object) -> str:
    """Without line ends, and without two blanks in a row: those separate columns."""
    return " ".join(str(value).split())


def print_table(made: Listing, stream: IO[str] | None = None) -> None:
    """On a terminal as it fits there; elsewhere whole, without frames, ready for `grep` and `awk`."""
    stream = stream or sys.stdout
    if not on_terminal(stream):
        show(made.fill(plain_table(), made.columns, EMPTY), stream)
        return
    own = console(stream)
    shown = made.fitting(own.width)
    framed = Table(
        box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", padding=(0, GAP - 1, 0, 0)
    )
    _console(stream, max(own.width, made.least(shown))).print(made.fill(framed, shown))
    if len(shown) < len(made.columns):
        left_out = ", ".join(name for name in made.columns if name not in shown)
        own.print(f"[dim]this terminal is too narrow for: {left_out}[/]")


def plain_table(*columns: str, right: Sequence[str] = (), headed: bool = True) -> Table:
    """Without frames, as part of a longer text: on a terminal what is too wide wraps."""
    made = Table(box=None, pad_edge=False, show_header=headed, header_style="dim", padding=(0, GAP, 0, 0))
    for name in columns:
        made.add_column(name or _empty(), justify="right" if name in right else "left", overflow="fold")
    return made


def add_row(made: Table, *cells: str) -> None:
    """In a pipe an empty cell has a sign, too, so that columns can be told apart."""
    made.add_row(*(cell if render(cell).plain else _empty() for cell in cells))


def _empty() -> str:
    return "" if on_terminal() else EMPTY


def rule(out: Console, title: str = "") -> None:
    """A line across, as wide as the terminal."""
    out.print(Rule(title, style="dim"), width=RULE_WIDTH if out.width == _ENDLESS else None)


def show(renderable: RenderableType, stream: IO[str] | None = None) -> None:
    """Print what was drawn; without a terminal, without the spaces that only fill lines up."""
    stream = stream or sys.stdout
    out = console(stream)
    if on_terminal(stream):
        out.print(renderable)
        return
    with out.capture() as captured:
        out.print(renderable)
    stream.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def encodes(text: str, stream: IO[str] | None = None) -> bool:
    """Whether the stream's encoding has these characters."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
