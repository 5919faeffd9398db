"""What a run was configured with: a snapshot without secrets, its hash, what changed, what was overridden."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from config.keys import by_name, keys
from config.loading import Loaded
from config.release import fingerprint, release
from config.settings import Settings

RELEASE = "release"
STRATEGY_FILES = "strategy_files"
SET = "(set)"
ABSENT = "(absent)"

NOT_HASHED: Mapping[str, str] = MappingProxyType(
    {
        "home": "a folder of this host",
        "exchange.api_key": "a secret; the account it belongs to is hashed by its name",
        "exchange.api_secret": "a secret",
        "governor.permit_key": "a secret; a host with another one can use no permit anyway",
        "redis": "an address: the same server is called differently from different hosts",
        "ledger": "an address, with a password in it",
        "feed": "how and when bars come, not what is made of them",
        "simulator.url": "an address",
        "simulator.port": "an address",
        "flower": "looks on, decides nothing",
        "workers": "how many processes this host gives, not what they do",
        "watch": "looks on, decides nothing",
        "alerts": "addresses, with secrets in them",
        "logging": "how much is said, not what is done",
        "thresholds": "when something is told to be slow",
        "metrics": "looks on, decides nothing",
        "sentry": "looks on, decides nothing",
        "demo": "has been applied to the other keys when the demo runs",
    }
)
"""What may differ between two hosts that trade the same way, and why. All other keys are in the hash."""

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):\S+(?=@)")
_PASSWORD_ASKED = re.compile(r"(?<=[?&])(\w*password)=[^&\s]+")


def snapshot(settings: Settings) -> dict[str, object]:
    """All settings as nested plain values, and the release. Secrets read `(set)` or nothing; passwords in addresses
    `***`.
    """
    tree: dict[str, object] = {RELEASE: release(), STRATEGY_FILES: _strategy_files(settings)}
    for name, value in flat(settings).items():
        *sections, leaf = by_name()[name].path
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})  # type: ignore[assignment]
        branch[leaf] = value
    return tree


def flat(settings: Settings) -> dict[str, object]:
    """The snapshot by the keys' names: `{"chain.cadence_s": 30.0, ...}`."""
    return {key.name: plain(_at(settings, key.path)) for key in keys()}


def _at(settings: Settings, path: tuple[str, ...]) -> object:
    value: object = settings
    for part in path:
        value = getattr(value, part)
    return value


def plain(value: object) -> object:
    """A setting as JSON can hold it, without secrets; numbers in one spelling."""
    match value:
        case dict():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case _:
            return _plain_leaf(value)


def _plain_leaf(value: object) -> object:
    match value:
        case SecretStr():
            return SET if value.get_secret_value() else ""
        case Decimal():
            return format(value.normalize(), "f")
        case Enum():
            return value.value
        case str() | Path():
            return _PASSWORD_ASKED.sub(r"\1=***", _PASSWORD.sub(r"\1:***", str(value)))
        case _:
            return value


def config_hash(settings: Settings) -> str:
    """12 hex characters over all that changes what the chain does: settings, our code, the user's strategies. Equal
    on every host of one system.
    """
    hashed = {name: value for name, value in flat(settings).items() if not _is_left_out(name)}
    hashed |= {RELEASE: release(), STRATEGY_FILES: _strategy_files(settings)}
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _strategy_files(settings: Settings) -> str:
    """A fingerprint of the user's strategies; empty without any."""
    folder = settings.strategies.folder
    files = sorted(Path(folder).glob("*.py")) if folder else []
    return fingerprint(Path(folder), files) if files else ""


def _is_left_out(name: str) -> bool:
    return name in NOT_HASHED or name.split(".", maxsplit=1)[0] in NOT_HASHED


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs between two runs."""

    key: str
    old: object
    new: object


def diff(old: Mapping[str, object], new: Mapping[str, object]) -> list[Change]:
    """What changed between two snapshots, by key. A key that one of them has not is `(absent)` there."""
    before, after = _flattened(old), _flattened(new)
    return [
        Change(key, before.get(key, ABSENT), after.get(key, ABSENT))
        for key in sorted(before.keys() | after.keys())
        if before.get(key, ABSENT) != after.get(key, ABSENT)
    ]


def _flattened(tree: Mapping[str, object], above: str = "") -> dict[str, object]:
    leaves: dict[str, object] = {}
    for name, value in tree.items():
        full = f"{above}{name}"
        if isinstance(value, Mapping) and full not in by_name():
            leaves |= _flattened(value, f"{full}.")
        else:
            leaves[full] = value
    return leaves


@dataclass(frozen=True, slots=True)
class Override:
    """One key that a variable sets. `default` is what the files say instead; secrets are not shown."""

    variable: str
    key: str
    default: object
    value: object


def overrides(loaded: Loaded) -> list[Override]:
    """What the environment changed, in the order of the keys."""
    now = flat(loaded.settings)
    return [
        Override(said.variable, name, _below(name, loaded), now[name])
        for name in now
        if (said := loaded.sources.get(name)) is not None and said.variable
    ]


def _below(name: str, loaded: Loaded) -> object:
    value = loaded.below[name]
    if by_name()[name].is_secret:
        return SET if value else ""
    return plain(value)
