"""A line of JSON as people read it: time, level, who, what, about which symbol, and the rest."""

from __future__ import annotations

from typing import Any

import orjson

COLOURS = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "1;31"}

LOUD = {"DECISION_END": "1", "ALERT": "1;31", "SECURITY": "1;31", "BUY_FILLED": "1;32", "SELL_FILLED": "1;32"}

PLACED = ("time", "level", "event", "component", "symbol", "decision_id", "stage", "message", "traceback")
"""Fields that have a place of their own; the rest follows as `name=value`."""

LEFT_OUT = ("host", "pid", "mode", "task_id", "logger", "config_hash", "enqueued_at")
"""What the eye does not need; it stands in the file."""


def render_line(line: str | bytes, *, colour: bool = False) -> str:
    """One line for a terminal, without its end; `colour` adds ANSI codes. What is no record stays as it is.

    Control characters inside values are shown escaped: a record cannot write to the terminal.
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = None
    if not isinstance(record, dict) or "event" not in record:
        return _harmless(line.decode("utf-8", "replace") if isinstance(line, bytes) else line)
    return _rendered(record, colour)


def _rendered(record: dict[str, Any], colour: bool) -> str:
    level, event = str(record.get("level", "")), str(record["event"])
    parts = [
        _painted(str(record.get("time", ""))[11:23], "2", colour),
        _painted(f"{level[:4].upper():4}", COLOURS.get(level, ""), colour),
        f"{_harmless(str(record.get('component', ''))):14}",
        f"{_harmless(str(record.get('symbol', '-'))):16}",
        _painted(f"{_harmless(event):18}", LOUD.get(event, ""), colour),
        _harmless(str(record.get("message", ""))),
        " ".join(f"{name}={_value(value)}" for name, value in record.items() if _is_rest(name, value)),
        _painted(_harmless(str(record.get("decision_id", ""))), "2", colour),
    ]
    text = " ".join(part for part in parts if part).rstrip()
    return text + _indented(str(record.get("traceback", "")))


def _is_rest(name: str, value: object) -> bool:
    return name not in PLACED and name not in LEFT_OUT and value not in (None, "")


def _value(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text = _harmless(text)
    return f'"{text}"' if " " in text else text


def _painted(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text


def _harmless(text: str) -> str:
    text = text.rstrip("\n")
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _indented(trace: str) -> str:
    return "".join(f"\n    {_harmless(line)}" for line in trace.splitlines())
