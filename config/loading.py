"""Reading the configuration: four layers, each above the one before.

1. `config/defaults.yaml`, shipped with the program;
2. your file: the one that THROUGHLINE_CONFIG names, else ./throughline.yaml if there is one;
3. `<home>/session.yaml`, written by `throughline up` for the processes of one run (ports it found free, say);
4. environment variables.

Whatever is wrong is told at once, in one ConfigError.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.environment import read_environment
from config.files import read_yaml
from config.home import unreadable
from config.keys import Key, by_name, keys
from config.layers import Layer, Said
from config.problems import Problems, shown
from config.rules import check_rules
from config.settings import Settings
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError

DEFAULTS = Path(__file__).with_name("defaults.yaml")
SESSION_FILE = "session.yaml"
USER_FILE = "throughline.yaml"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each key that something above the defaults set: what set it.

    `below` holds every key's value as the files have it, without the environment; secrets among them.
    """

    settings: Settings
    sources: Mapping[str, Said]
    below: Mapping[str, object] = field(repr=False)
    user_file: Path | None
    session_file: Path | None

    def place(self, key: str) -> str:
        """The key, with the file and line or the variable that set it; also of one inside a table."""
        above = [key.rsplit(".", cut)[0] for cut in range(key.count(".") + 1)]
        said = next((self.sources[name] for name in above if name in self.sources), None)
        return key if said is None else f"{said.where}: {key}"


def load(env: Mapping[str, str] | None = None, cwd: Path | None = None, *, session: bool = True) -> Settings:
    """The settings of this process. `session=False` leaves out the running session's overlay.

    Raises: ConfigError naming each file, line or variable, the key, what was found and what was expected.
    """
    return read(env, cwd, session=session).settings


def read(env: Mapping[str, str] | None = None, cwd: Path | None = None, *, session: bool = True) -> Loaded:
    """Like `load`, with where each value came from."""
    env = os.environ if env is None else env
    problems = Problems()
    layers = _read_layers(env, Path.cwd() if cwd is None else cwd, problems, session=session)
    settings = _validated(layers.merged(), problems)
    check_rules(settings, layers.above, env, problems)
    problems.raise_if_any()
    assert settings is not None  # noqa: S101 - without problems there are settings
    below = {name: said.value for name, said in (layers.defaults | layers.user | layers.overlay).items()}
    return Loaded(settings, layers.above, below, layers.user_file, layers.session_file)


@dataclass(frozen=True, slots=True)
class _Layers:
    """The four layers, lowest first, and the home that they agree on."""

    defaults: Layer
    user: Layer
    overlay: Layer
    variables: Layer
    home: Said
    user_file: Path | None
    session_file: Path | None

    @property
    def above(self) -> Layer:
        return self.user | self.overlay | self.variables

    def merged(self) -> Layer:
        return self.defaults | self.above | {"home": self.home}


def _read_layers(env: Mapping[str, str], cwd: Path, problems: Problems, *, session: bool) -> _Layers:
    defaults = read_yaml(DEFAULTS, problems)
    user_file = _user_file(env, cwd)
    user = read_yaml(user_file, problems) if user_file else {}
    variables = read_environment(env, problems)
    home = _absolute((defaults | user | variables)["home"], cwd)
    session_file = _session_file(home) if session else None
    overlay = read_yaml(session_file, problems) if session_file else {}
    return _Layers(defaults, user, overlay, variables, home, user_file, session_file)


def _absolute(home: Said, cwd: Path) -> Said:
    """A home that means the same wherever a process is started; what is no text stays as it is."""
    if not isinstance(home.value, str):
        return home
    return Said(str(cwd / home.value), home.where, home.variable)


def _session_file(home: Said) -> Path | None:
    path = Path(str(home.value)) / SESSION_FILE
    try:
        return path if path.is_file() else None
    except OSError as error:
        raise unreadable(path.parent, error) from error


def _user_file(env: Mapping[str, str], cwd: Path) -> Path | None:
    named = env.get("THROUGHLINE_CONFIG")
    if not named:
        return cwd / USER_FILE if (cwd / USER_FILE).exists() else None
    path = cwd / named
    if not path.exists():
        raise ConfigError(
            f"{path} does not exist.",
            where="variable THROUGHLINE_CONFIG",
            remedy=f"Name a file that does, or unset it to use ./{USER_FILE} or the defaults.",
        )
    return path


# ----------------------------------------------------------------------------------------------- validation


def _validated(layer: Layer, problems: Problems) -> Settings | None:
    """The settings, or None when a value is impossible; then `problems` knows why."""
    _refuse_truth_as_number(layer, problems)
    try:
        return Settings.model_validate(_tree(layer))
    except ValidationError as error:
        for found in error.errors(include_url=False):
            _add_finding(found, layer, problems)
        return None


def _refuse_truth_as_number(layer: Layer, problems: Problems) -> None:
    """`max_positions: yes` would silently become 1."""
    for name, said in layer.items():
        key = by_name()[name]
        if key.is_number and isinstance(said.value, bool):
            problems.add(said.where, f"{name} is {shown(said.value)}", key.expects)


def _tree(layer: Layer) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, said in layer.items():
        *sections, leaf = by_name()[name].path
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[leaf] = said.value
    return tree


def _add_finding(found: Any, layer: Layer, problems: Problems) -> None:
    """Say one of pydantic's findings in our words."""
    key = _key_at(found["loc"])
    own_words = found["msg"].removeprefix("Value error, ")
    if key is None:
        section = ".".join(str(part) for part in found["loc"])
        problems.add(_places(section, layer), f"the keys of {section} contradict each other", own_words)
        return
    said = layer[key.name]
    if key.is_number and isinstance(said.value, bool):
        return  # told already
    expected = own_words if found["type"] == "value_error" else key.expects
    problems.add(said.where, f"{key.name} is {shown(said.value, secret=key.is_confidential)}", expected)


def _key_at(loc: tuple[int | str, ...]) -> Key | None:
    """The key that a finding is about; one deep inside a list or table is about the whole of it."""
    for depth in range(len(loc), 0, -1):
        key = by_name().get(".".join(str(part) for part in loc[:depth]))
        if key is not None:
            return key
    return None


def _places(section: str, layer: Layer) -> str:
    """Where the keys of a section were set, apart from the defaults."""
    inside = [said.where for name, said in layer.items() if name.startswith(f"{section}.")]
    own = [where for where in inside if not where.startswith(str(DEFAULTS))]
    return " and ".join(dict.fromkeys(own)) or section


def require_keys(settings: Settings) -> None:
    """For whoever is going to trade: reading commands work without keys.

    Raises: ConfigError when the mode needs API keys and there are none.
    """
    if settings.mode is Mode.PAPER:
        return
    problems = Problems()
    for name, secret in (
        ("api_key", settings.exchange.api_key),
        ("api_secret", settings.exchange.api_secret),
    ):
        if not secret.get_secret_value():
            variable = by_name()[f"exchange.{name}"].variable
            problems.add(
                f"exchange.{name}",
                "is not set",
                f"it for mode {settings.mode}: {variable} or {variable}_FILE",
            )
    problems.raise_if_any()


def secret_values(settings: Settings) -> frozenset[str]:
    """Every secret that is set, for those who must keep them out of logs."""
    values = (_secret_at(settings, key) for key in keys() if key.is_secret)
    return frozenset(value for value in values if value)


def _secret_at(settings: Settings, key: Key) -> str:
    section, name = key.path
    value: str = getattr(getattr(settings, section), name).get_secret_value()
    return value
