"""Where words go: tables and colour on a terminal, plain columns in a pipe, JSON where it was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import IO

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table

PLAIN_WIDTH = 100
_UNWRAPPED = 10_000


def console(stream: IO[str] | None = None) -> Console:
    """A console for people: the terminal's own width, or 100 columns where there is none."""
    stream = stream or sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)


def print_json(value: object) -> None:
    """One JSON document. Money and ids as text, times in ISO 8601 UTC."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


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


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> Table:
    """Columns by name, those in `right` right-aligned. Cells are rich markup: escape what is data."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=True)
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


def print_table(made: Table, stream: IO[str] | None = None) -> None:
    """On a terminal as it fits there; elsewhere whole, without frames, ready for `grep` and `awk`."""
    stream = stream or sys.stdout
    if stream.isatty():
        console(stream).print(made)
        return
    made.box, made.show_edge, made.padding = None, False, (0, 2, 0, 0)
    wide = Console(file=stream, width=_UNWRAPPED, highlight=False, no_color=True)
    with wide.capture() as captured:
        wide.print(made)
    stream.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def show(renderable: RenderableType, stream: IO[str] | None = None) -> None:
    """Print what was drawn; without a terminal, without the spaces that only fill lines up."""
    stream = stream or sys.stdout
    out = console(stream)
    if out.is_terminal:
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
