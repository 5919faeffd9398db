"""The stages on a common time line: who ran them, how long they waited and worked."""

from __future__ import annotations

from datetime import datetime, timedelta

from rich.table import Table

from console.output import add_row, encodes, on_terminal, plain_table
from console.render import values as v
from console.render.values import Record

WIDTH = 24
_NUMBERS = ("pid", "try", "waited", "ran")


def waterfall(trace: Record) -> Table | None:
    stages = v.records(trace.get("stages"))
    if not stages:
        return None
    table = plain_table("stage", "worker", "pid", "try", "waited", "ran", "", right=_NUMBERS)
    span = span_of(trace)
    for stage in stages:
        add_row(table, *_row(stage), bar(stage, span))
    return table


def _row(stage: Record) -> tuple[str, ...]:
    ended = stage.get("result") == "ended"
    name = v.text(stage.get("stage"))
    attempt = v.text(stage.get("attempt"))
    return (
        f"[bold]{name}[/]" if ended else name,
        _worker(stage),
        v.text(stage.get("pid")),
        attempt if attempt in {"", "1"} else f"[yellow]{attempt}[/]",
        v.milliseconds(stage.get("queue_wait_ms")),
        v.milliseconds(stage.get("run_ms")),
    )


def _worker(stage: Record) -> str:
    """`worker-market@host`, shortened on a terminal when the host's name is long."""
    name = str(stage.get("worker") or "")
    host = str(stage.get("host") or "")
    whole = name if "@" in name or not host else f"{name}@{host}"
    return v.text(whole if len(whole) <= 26 or not on_terminal() else whole[:25] + "…")


def span_of(trace: Record) -> tuple[datetime, timedelta] | None:
    """From the enqueueing to the end of the last stage. None when the record has no times."""
    start = v.moment(trace.get("enqueued_at"))
    ends = [finish for stage in v.records(trace.get("stages")) if (finish := _finish(stage))]
    if start is None or not ends:
        return None
    return start, max(max(ends) - start, timedelta(milliseconds=1))


def bar(stage: Record, span: tuple[datetime, timedelta] | None) -> str:
    """`  ··███   `: dots while the message waited, blocks while the stage ran."""
    begin, finish = v.moment(stage.get("started_at")), _finish(stage)
    if span is None or begin is None or finish is None:
        return ""
    start, length = span
    queued = begin - timedelta(milliseconds=_ms(stage.get("queue_wait_ms")))
    at = [round(max(0.0, (moment - start) / length) * WIDTH) for moment in (queued, begin, finish)]
    left, middle, right = min(at[0], WIDTH - 1), min(at[1], WIDTH - 1), min(max(at[2], at[1] + 1), WIDTH)
    dot, block = ("·", "█") if encodes("·█") else (".", "#")
    return " " * left + f"[dim]{dot * (middle - left)}[/][cyan]{block * (right - middle)}[/]"


def _finish(stage: Record) -> datetime | None:
    begin = v.moment(stage.get("started_at"))
    return begin + timedelta(milliseconds=_ms(stage.get("run_ms"))) if begin else None


def _ms(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
