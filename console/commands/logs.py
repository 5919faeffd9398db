"""`throughline logs`: the JSON lines of `<home>/logs/all.jsonl`, readable."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.markup import escape

from config.loading import load
from console.failures import FINDING
from console.output import console
from pipeline.domain.errors import ConfigError
from pipeline.trace.rendering import render_line

NEWEST = 200
"""Lines that are shown when no id says which."""
_LOOK_EVERY_S = 0.25


def logs(
    wanted: Annotated[str | None, typer.Argument(metavar="[ID]", help="Only lines with this text.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help=f"At most so many, the newest; {NEWEST} without an id."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The lines as they are, one JSON document each.")
    ] = False,
) -> None:
    """Log lines for people. With an id, the story of that decision; without, the newest lines. Exit code 1: no line
    has it.
    """
    path = load().home.absolute() / "logs" / "all.jsonl"
    if not path.exists() and not follow:
        raise ConfigError(
            "there is no log yet", where=str(path), remedy="`throughline up` or `demo` writes it"
        )
    say = _as_it_is if as_json else _print
    found = _newest(path, wanted, limit or (NEWEST if wanted is None else None))
    for line in found:
        say(line)
    if follow:
        _follow(path, wanted, say)
    elif wanted is not None and not found:
        console(sys.stderr).print(f"no line has {escape(repr(wanted))}: {escape(str(path))}", soft_wrap=True)
        raise typer.Exit(FINDING)


def _follow(path: Path, wanted: str | None, say: Callable[[str], None]) -> None:
    try:
        for line in tail(path):
            if wanted is None or wanted in line:
                say(line)
    except KeyboardInterrupt:
        return


def _print(line: str) -> None:
    _as_it_is(render_line(line, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))


def _as_it_is(line: str) -> None:
    sys.stdout.write(line.rstrip("\n") + "\n")
    sys.stdout.flush()


def _newest(path: Path, wanted: str | None, limit: int | None) -> list[str]:
    """The lines with the wanted text, of the rotated files too when it is an id; oldest first."""
    found: list[str] = []
    for part in [*_rotated(path), path] if wanted else [path]:
        if part.exists():
            with part.open(encoding="utf-8", errors="replace") as file:
                found += [line for line in file if wanted is None or wanted in line]
    return found if limit is None else found[-limit:]


def _rotated(path: Path) -> list[Path]:
    """`all.jsonl.2`, `all.jsonl.1`: the oldest first."""
    numbered = [part for part in path.parent.glob(f"{path.name}.*") if part.suffix[1:].isdigit()]
    return sorted(numbered, key=lambda part: -int(part.suffix[1:]))


def tail(path: Path) -> Iterator[str]:
    """Whole lines as they are appended, over rotations, for ever."""
    file = _opened_at_end(path)
    held = ""
    while True:
        held += file.readline() if file else ""
        if held.endswith("\n"):
            yield held
            held = ""
        elif path.exists() and (file is None or path.stat().st_ino != os.fstat(file.fileno()).st_ino):
            file, held = path.open(encoding="utf-8", errors="replace"), ""
        else:
            time.sleep(_LOOK_EVERY_S)


def _opened_at_end(path: Path) -> TextIO | None:
    if not path.exists():
        return None
    file = path.open(encoding="utf-8", errors="replace")
    file.seek(0, os.SEEK_END)
    return file
