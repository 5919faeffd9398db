"""What a strategy answered, in one line."""

from __future__ import annotations

from console.render import values as v
from console.render.values import Record


def verdict_line(verdict: Record) -> str:
    """`buy 0.71 · entry 100 · stop 98 · target 104 · reason`, or the nearest miss, or what it raised."""
    kind = str(verdict.get("kind") or verdict.get("verdict") or "")
    if kind == "signal":
        return _signal(v.record(verdict.get("signal")), chosen=bool(verdict.get("chosen")))
    if kind == "failed":
        return f"[red]failed: {v.first_line(verdict.get('error'))}[/]"
    return f"[dim]no signal[/]{_miss(v.record(verdict.get('nearest_miss')))}"


def _signal(signal: Record, *, chosen: bool) -> str:
    levels = f"entry {v.price(signal.get('entry'))} · stop {v.price(signal.get('stop_loss'))}"
    return (
        f"{v.side(signal.get('side'))} [bold]{v.number(signal.get('score'))}[/] · {levels} · "
        f"target {v.price(signal.get('take_profit'))} · {v.text(signal.get('reason'))}"
        f"{' [green](chosen)[/]' if chosen else ''}"
    )


def _miss(miss: Record) -> str:
    if not miss:
        return ""
    seen, wanted = _short(miss.get("value")), _short(miss.get("threshold"))
    return f" · nearest miss: {v.text(miss.get('condition'))} {seen}, wanted {wanted}"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else v.text(value)
