"""The reference of all settings, made from the classes and from the comments in `defaults.yaml`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from config.keys import ALIASES, CONTROLS, Key, keys
from config.loading import DEFAULTS
from config.snapshot import NOT_HASHED, plain

BEGIN = "<!-- generated: python -m config.reference docs/configuration.md -->"
END = "<!-- end of generated -->"


@dataclass(frozen=True, slots=True)
class Explained:
    """One key as people need to know it. `takes` is its type in words, `default` as one would write it."""

    key: str
    takes: str
    default: str
    unit: str
    variable: str
    doc: str


def explain() -> list[Explained]:
    """Every key, in the order of the classes."""
    docs = comments()
    return [
        Explained(key.name, key.expects, _default_text(key), key.unit, key.variable, docs.get(key.name, ""))
        for key in keys()
    ]


@functools.cache
def comments() -> Mapping[str, str]:
    """What `defaults.yaml` says above each key and section, by name."""
    found: dict[str, str] = {}
    section, above = "", []
    for line in DEFAULTS.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("#"):
            above.append(text.lstrip("# "))
            continue
        name, colon, _ = text.partition(":")
        if colon and not text.startswith("-"):
            section = section if line.startswith(" ") else name
            found[name if section == name else f"{section}.{name}"] = " ".join(above)
        above = []
    return found


def _default_text(key: Key) -> str:
    if key.is_secret:
        return ""
    if key.name == "universe.symbols":
        return "20 well-known perpetuals"
    value = plain(key.default)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value in ("", {}) else str(value)


def markdown() -> str:
    """The tables of `docs/configuration.md`, between its marks."""
    return "\n".join([*_tables(), *_aliases(), *_controls(), *_not_hashed()])


def _tables() -> Iterator[str]:
    section = None
    docs = comments()
    for row in explain():
        its_section = row.key.rpartition(".")[0]
        if its_section != section:
            section = its_section
            yield f"\n### {section or 'top level'}\n"
            if section:
                yield f"{docs.get(section, '')}\n"
            yield "| key | default | takes | what it does |\n|---|---|---|---|"
        takes = f"{row.takes} ({row.unit})" if row.unit else row.takes
        yield f"| `{row.key}`<br>`{row.variable}` | {_code(row.default)} | {takes} | {row.doc} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else "empty"


def _aliases() -> Iterator[str]:
    yield "\n### Other spellings of a variable\n\n| variable | sets |\n|---|---|"
    yield from (f"| `{variable}` | `{name}` |" for variable, name in ALIASES.items())


def _controls() -> Iterator[str]:
    yield "\n### Variables that are not settings\n\n| variable | meaning |\n|---|---|"
    yield from (f"| `{variable}` | {doc} |" for variable, doc in CONTROLS.items())


def _not_hashed() -> Iterator[str]:
    yield "\n### What the configuration's hash leaves out\n\n| key or section | why |\n|---|---|"
    yield from (f"| `{name}` | {why} |" for name, why in NOT_HASHED.items())


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
