"""The tree of settings as a list of keys: each with its type in words, unit, default and variable."""

from __future__ import annotations

import difflib
import functools
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from config.settings import Settings

ALIASES: Mapping[str, str] = types.MappingProxyType(
    {
        "TRADING_SYMBOLS": "universe.symbols",
        "THROUGHLINE_SYMBOLS": "universe.symbols",
        "THROUGHLINE_SECONDS": "demo.seconds",
    }
)
"""Other spellings of one key's variable. Two that are set and differ stop the start."""

CONTROLS: Mapping[str, str] = types.MappingProxyType(
    {
        "THROUGHLINE_CONFIG": "path of the configuration file, instead of ./throughline.yaml",
        "THROUGHLINE_ALLOW_LIVE": "`yes` allows mode live; without it a live configuration does not start",
        "THROUGHLINE_CRASH_PLAN": "folder that says where processes kill or freeze themselves; mode paper only",
    }
)
"""Variables that are not settings themselves."""

WITH_PASSWORDS = frozenset({"redis.url", "ledger.url"})
"""Addresses with a password in them: they may come from a file as secrets do, and are never quoted."""

UNITS = {
    "_s": "seconds",
    "_ms": "milliseconds",
    "_mb": "MB",
    "_usdt": "USDT",
    "_bps": "basis points",
    "_bars": "bars",
    "_days": "days",
    "_pct": "%",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One leaf of the settings. `name` is `chain.cadence_s`, `variable` its one environment variable."""

    path: tuple[str, ...]
    kind: Any
    bounds: tuple[object, ...]
    default: object

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return "THROUGHLINE_" + "_".join(self.path).upper()

    @property
    def unit(self) -> str:
        return next((unit for suffix, unit in UNITS.items() if self.name.endswith(suffix)), "")

    @property
    def is_secret(self) -> bool:
        return self.kind is SecretStr

    @property
    def is_confidential(self) -> bool:
        """Whether its value never stands in a message, and may come from a file."""
        return self.is_secret or self.name in WITH_PASSWORDS

    @property
    def is_list(self) -> bool:
        return get_origin(self.kind) is tuple

    @property
    def is_number(self) -> bool:
        return self.kind in {int, float, Decimal}

    @property
    def is_table(self) -> bool:
        return get_origin(self.kind) is dict

    @property
    def expects(self) -> str:
        """What the key takes, in words: `a whole number, at least 1, at most 64`."""
        choices = choices_of(self.kind)
        if choices:
            return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
        return ", ".join([_kind_in_words(self), *map(_bound_in_words, self.bounds)]).replace(", ,", ",")


def choices_of(kind: Any) -> tuple[str, ...]:
    """The values that a key is limited to; none when it is free."""
    if get_origin(kind) is Literal:
        return tuple(str(choice) for choice in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(choice.value) for choice in kind)
    return ()


def _kind_in_words(key: Key) -> str:
    if key.is_list:
        return "a list of names"
    if key.is_table:
        return "a table by name"
    words = {
        int: "a whole number",
        float: "a number",
        Decimal: "a number",
        bool: "true or false",
        Path: "a path",
    }
    return words.get(key.kind, "text")


def _bound_in_words(bound: object) -> str:
    match bound:
        case annotated_types.Gt(gt=limit):
            return f"above {limit}"
        case annotated_types.Ge(ge=limit):
            return f"at least {limit}"
        case annotated_types.Le(le=limit):
            return f"at most {limit}"
        case _:
            raise TypeError(f"{bound!r} has no words yet: add them here")


@functools.cache
def keys() -> tuple[Key, ...]:
    """Every key, in the order of the classes."""
    return tuple(_walk(Settings, ()))


def _walk(model: type[BaseModel], path: tuple[str, ...]) -> Iterable[Key]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _walk(kind, (*path, name))
        else:
            yield Key((*path, name), kind, _bounds(field), field.get_default())


def _bounds(field: FieldInfo) -> tuple[object, ...]:
    known = (annotated_types.Gt, annotated_types.Ge, annotated_types.Le)
    return tuple(bound for bound in field.metadata if isinstance(bound, known))


@functools.cache
def by_name() -> Mapping[str, Key]:
    return {key.name: key for key in keys()}


@functools.cache
def variables() -> Mapping[str, Key]:
    """Every variable that sets a key: its own, and the aliases."""
    own = {key.variable: key for key in keys()}
    return own | {alias: by_name()[name] for alias, name in ALIASES.items()}


def nearest(wanted: str, known: Iterable[str]) -> str:
    """` Did you mean X?` for the closest known name, or nothing."""
    close = difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""
