"""Single values as people read them. Records are JSON: money is text, times ISO 8601, anything may lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.markup import escape

from console.output import on_terminal, one_line
from pipeline.domain.permits import normal
from pipeline.domain.timeframes import from_iso

Record = Mapping[str, Any]

OUTCOME_STYLES = {
    "executed": "bold green",
    "no_signal": "dim",
    "skipped": "cyan",
    "blocked": "yellow",
    "rejected": "red",
    "expired": "magenta",
    "failed": "bold red",
    "open": "bold blue",
}


def text(value: object) -> str:
    """Safe inside rich markup, on one line; empty for what is missing."""
    return "" if value is None else escape(one_line(value))


def number(value: object) -> str:
    """An exact number without an exponent or useless zeros; other text as it is."""
    if value is None or value == "":
        return ""
    try:
        return normal(Decimal(str(value)))
    except InvalidOperation:
        return text(value)


def money(value: object, digits: int = 2) -> str:
    """An amount with thousands separators, rounded for the eye only."""
    try:
        return f"{Decimal(str(value)):,.{digits}f}"
    except InvalidOperation:
        return text(value)


def price(value: object) -> str:
    """Eight significant digits at most: a mean of fills can have twenty-eight."""
    try:
        return number(f"{Decimal(str(value)):.8g}")
    except InvalidOperation:
        return text(value)


def milliseconds(value: object) -> str:
    """`8.1 ms`, `1.24 s`; empty when unknown."""
    if not isinstance(value, int | float):
        return ""
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def moment(value: object) -> datetime | None:
    """The instant that a record's text names."""
    try:
        return from_iso(str(value)) if value else None
    except ValueError:
        return None


def clock(value: object) -> str:
    """`10:15:00.123`, the time of day in UTC."""
    at = moment(value)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}" if at else ""


def date_and_time(value: object) -> str:
    """`2026-01-31 10:15:00`, in UTC."""
    at = moment(value)
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def lately(value: object) -> str:
    """On a terminal only the time of day, when that was today: every column counts there."""
    at = moment(value)
    is_today = at is not None and at.date() == datetime.now(UTC).date()
    return f"{at:%H:%M:%S}" if at and is_today and on_terminal() else date_and_time(value)


def took_ms(start: object, end: object) -> float | None:
    begin, finish = moment(start), moment(end)
    return (finish - begin).total_seconds() * 1000 if begin and finish else None


def outcome(value: object) -> str:
    """An outcome in its colour; `open` when there is none yet."""
    name = str(value or "open")
    return f"[{OUTCOME_STYLES.get(name, 'bold')}]{escape(name)}[/]"


def side(value: object) -> str:
    colour = {"buy": "green", "sell": "red"}.get(str(value), "default")
    return f"[{colour}]{text(value)}[/]"


def direction(value: object) -> str:
    """A position's side as people say it."""
    words = {
        "buy": "[green]long[/]",
        "sell": "[red]short[/]",
        "long": "[green]long[/]",
        "short": "[red]short[/]",
    }
    return words.get(str(value), text(value))


def first_line(value: object, width: int = 70) -> str:
    """A long detail's first line, shortened; a stack trace's last one, for that says what happened.

    In a pipe nothing is cut: the other lines follow on the same.
    """
    lines = [line for line in str(value or "").splitlines() if line.strip()]
    if not lines:
        return ""
    line = lines.pop(-1 if "Traceback" in str(value) else 0)
    if not on_terminal():
        return text(" ".join([line, *lines]))
    return escape(line if len(line) <= width else line[: width - 1] + "…")


def records(value: object) -> Sequence[Record]:
    """The list of records that a field holds; none when it is missing."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def record(value: object) -> Record:
    return value if isinstance(value, Mapping) else {}
