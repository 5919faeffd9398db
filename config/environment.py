"""Environment variables: one for each key, some aliases, and files for secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from config.keys import ALIASES, CONTROLS, Key, nearest, variables
from config.layers import LOADER, Layer, Said
from config.problems import Problems, shown

PREFIX = "THROUGHLINE_"
SYMBOLS = "TRADING_SYMBOLS"


def read_environment(env: Mapping[str, str], problems: Problems) -> Layer:
    """What the variables say. An empty variable says nothing; an unknown THROUGHLINE_* one is a problem."""
    layer: Layer = {}
    for variable, text in _spoken(env, problems):
        key = variables()[variable]
        said = Said(_from_text(key, text, variable, problems), f"variable {variable}", variable)
        before = layer.get(key.name)
        if before is not None and before.value != said.value:
            problems.add(
                f"variables {before.variable} and {variable}",
                f"both set {key.name}, and differ"
                + ("" if key.is_confidential else f" ({shown(before.value)} and {shown(said.value)})"),
                "one of them, or the same value in both",
            )
        layer.setdefault(key.name, said)
    if env.get(SYMBOLS):  # a list given by hand stands above a universe that makes itself
        layer.setdefault("universe.top_by_volume", Said(0, f"variable {SYMBOLS}", SYMBOLS))
    return layer


def _spoken(env: Mapping[str, str], problems: Problems) -> Iterator[tuple[str, str]]:
    """Each known variable that is set, with its text; those that end in _FILE with the file's."""
    known = variables()
    for variable in sorted(env):
        if not (variable.startswith(PREFIX) or variable in ALIASES) or not env[variable]:
            continue
        if variable in known:
            yield variable, env[variable]
        elif variable not in CONTROLS:
            yield from _from_file(variable, env[variable], problems)


def _from_file(variable: str, path: str, problems: Problems) -> Iterator[tuple[str, str]]:
    base = variable.removesuffix("_FILE")
    key = variables().get(base)
    if key is None or base == variable:
        hint = nearest(variable, [*variables(), *CONTROLS])
        problems.add(f"variable {variable}", "is not known" + (f"; {hint}" if hint else ""))
    elif not key.is_confidential:
        problems.add(f"variable {variable}", f"only secrets can come from a file; set {base} instead")
    else:
        try:
            yield base, Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.add(f"variable {variable}", f"the file {path} cannot be read: {error}")


def _from_text(key: Key, text: str, variable: str, problems: Problems) -> object:
    if key.is_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    if not key.is_table:
        return text
    try:
        return yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe loader, the one written in C
    except yaml.YAMLError:
        problems.add(f"variable {variable}", "is not one line of YAML or JSON", "{name: {parameter: value}}")
        return {}
