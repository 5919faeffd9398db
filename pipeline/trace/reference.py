"""The page of all events, made from the catalogue."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.domain.catalogue import CATALOGUE
from pipeline.domain.event_fields import FIELDS, EventField

BEGIN = "<!-- generated: python -m pipeline.trace.reference docs/events.md -->"
END = "<!-- end of generated -->"


def markdown() -> str:
    """The generated part of `docs/events.md`: the events with their fields, then what each field means."""
    return "\n".join([*_events(), *_fields()])


def _events() -> Iterator[str]:
    yield "\n## Events\n\n| event | level | says | its fields | may have |\n|---|---|---|---|---|"
    for event in CATALOGUE.values():
        yield f"| `{event.name}` | {event.level} | {event.says} | {_names(event.needs)} | {_names(event.may)} |"


def _names(fields: tuple[EventField, ...]) -> str:
    return f"`{', '.join(each.name for each in fields)}`" if fields else ""


def _fields() -> Iterator[str]:
    yield "\n## Fields\n\n| field | is a | means |\n|---|---|---|"
    for each in sorted(FIELDS.values(), key=lambda found: found.name):
        yield f"| `{each.name}` | {each.type} | {each.means} |"


def renewed(page: str) -> str:
    """The page with its generated part made again. Raises: ValueError when it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{markdown()}\n\n{END}{after}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
