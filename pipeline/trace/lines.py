"""A record as one line of JSON, quickly and whatever is in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

from pipeline.domain.timeframes import iso
from pipeline.trace import context
from pipeline.trace.redaction import HIDDEN, SECRETS, hide, holds_more, is_secret_name

OPTIONS = (
    orjson.OPT_APPEND_NEWLINE
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_SERIALIZE_NUMPY
    | orjson.OPT_NON_STR_KEYS
)

LONGEST = 64 * 1024
"""Bytes. A line above it keeps what it is about; its fields are cut short."""

LONGEST_FIELD = 2000
MOST_FIELDS = 24

RESERVED = frozenset({"time", "level", "event", "component", "host", "pid"})
"""Fields that every line has; one of these names given by a caller is written as `<name>_`."""


class LineMaker:
    """Makes the lines of one process; `component` names its role."""

    def __init__(self, component: str) -> None:
        self._component = component
        self._host = socket.gethostname()
        self._pid = os.getpid()
        os.register_at_fork(after_in_child=self._note_pid)

    def _note_pid(self) -> None:
        self._pid = os.getpid()

    def line(self, level: str, event: str, fields: Mapping[str, Any]) -> bytes:
        """One line with its newline; never raises. Secrets are hidden by name and by value."""
        record: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": level,
            "event": event,
            "component": self._component,
        }
        record.update(context.fields())
        record.update(fields if _is_plain(fields) else _shown(fields))
        record["host"] = self._host
        record["pid"] = self._pid
        return SECRETS.clean(_dumped(record))


_plain_names: set[str] = set()
_plain_types: set[type] = set()
"""Names that are written as they are, and types with no fields inside, as far as they have come by: the same few for
ever, and of nearly every line all.
"""


def _is_plain(fields: Mapping[str, Any]) -> bool:
    """Whether it is known that there is nothing to hide in these, by their names and types."""
    return fields.keys() <= _plain_names and _plain_types.issuperset(map(type, fields.values()))


def _shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they may stand in a line: secrets hidden, none by the name of what every line has."""
    return {_key_of(name): _value_of(name, value) for name, value in fields.items()}


def _key_of(name: str) -> str:
    if name in RESERVED:
        return f"{name}_"
    if not is_secret_name(name):
        _plain_names.add(name)
    return name


def _value_of(name: str, value: object) -> object:
    if value and is_secret_name(name):
        return HIDDEN
    if holds_more(value):
        return hide(value)
    _plain_types.add(type(value))
    return value


def _dumped(record: dict[str, Any]) -> bytes:
    try:
        line = orjson.dumps(record, _as_json, OPTIONS)
    except (TypeError, ValueError, RecursionError):
        # text that is not Unicode, a number beyond 64 bits, a structure without end
        record = {name: simplest(value) for name, value in record.items()}
        line = orjson.dumps(record, option=OPTIONS)
    return line if len(line) <= LONGEST else _shortened(record, len(line))


def _shortened(record: dict[str, Any], length: int) -> bytes:
    kept = {name: simplest(value) for name, value in list(record.items())[:MOST_FIELDS]}
    cut = {name: value[:LONGEST_FIELD] if isinstance(value, str) else value for name, value in kept.items()}
    return orjson.dumps({**cut, "shortened_from_bytes": length}, option=OPTIONS)


def simplest(value: Any) -> str | int | float | None:
    """A number that JSON can hold, or text."""
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    try:
        text = value if isinstance(value, str) else str(_as_json(value))
    except Exception as error:  # noqa: BLE001 - a value that cannot be printed must not stop a trade
        text = f"({type(value).__name__} that cannot be printed: {type(error).__name__})"
    return text.encode("utf-8", "backslashreplace").decode()


def _as_json(value: Any) -> Any:
    """What orjson does not know, as plain JSON."""
    match value:
        case Decimal():
            text = str(value)
            return format(value, "f") if "E" in text else text
        case datetime():
            return iso(value) if value.tzinfo else value.isoformat()
        case date():
            return value.isoformat()
        case set() | frozenset():
            return sorted(map(str, value))
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case _:
            return str(value)
