"""Compose files as Docker reads them, as far as ours use its language: include, extends, variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import ROOT

DOCKER = ROOT / "docker"
VARIABLE = re.compile(r"\$\{(\w+)(?:(:?[-?])([^}]*))?\}")
REPLACED = ("command", "entrypoint", "test")
"""Lists of which only the last one counts; all others grow."""


class Unset(Exception):
    """A variable that must be set is not; the text is what Docker would say."""


def composed(path: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """The whole of a file: services, volumes, secrets. Raises: Unset."""
    told = _with_variables(yaml.safe_load(path.read_text(encoding="utf-8")), env)
    for part in told.pop("include", ()):
        for name in part["path"]:
            told = merged(told, composed(path.parent / name, env))
    told["services"] = {
        name: _extended(path.parent, each, env) for name, each in told.get("services", {}).items()
    }
    return dict(told)


def _extended(folder: Path, service: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    base = service.pop("extends", None)
    if base is None:
        return service
    inherited: dict[str, Any] = composed(folder / base["file"], env)["services"][base["service"]]
    return merged(inherited, service)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping over another one, as Docker does it."""
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            both[key] = merged(old, value)
        elif isinstance(old, list) and isinstance(value, list) and key not in REPLACED:
            both[key] = [*old, *value]
        else:
            both[key] = value
    return both


def _with_variables(value: Any, env: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _with_variables(inner, env) for key, inner in value.items()}
        case list():
            return [_with_variables(inner, env) for inner in value]
        case str():
            return VARIABLE.sub(lambda found: _variable(found, env), value)
        case _:
            return value


def _variable(found: re.Match[str], env: Mapping[str, str]) -> str:
    name, rule, word = found[1], found[2] or "-", found[3] or ""
    said = env.get(name)
    missing = not said if rule.startswith(":") else said is None
    if missing and rule.endswith("?"):
        raise Unset(f"{name}: {word}")
    return word if missing or said is None else said
