"""A strategy to begin with, and its test, as files."""

from __future__ import annotations

import re
from collections.abc import Container
from importlib import resources
from pathlib import Path
from string import Template

from config.settings import Settings
from pipeline.domain.errors import ConfigError

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def write(name: str, folder: Path, known: Container[str]) -> list[Path]:
    """`<folder>/<name>.py` and `<folder>/tests/test_<name>.py`. Raises: ConfigError, and no file is
    overwritten then.
    """
    if not _NAME.match(name):
        raise ConfigError(f"'{name}' is no name for a strategy.", remedy="Use small letters, digits and _.")
    if name in known:
        raise ConfigError(f"there is a strategy called '{name}' already.", remedy="Choose another name.")
    files = {
        folder / f"{name}.py": "strategy.py.txt",
        folder / "tests" / f"test_{name}.py": "test_strategy.py.txt",
    }
    try:
        for file in files:
            if file.exists():
                raise ConfigError("is there already; nothing was written", where=str(file))
        for file, template in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_filled(template, name), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the strategy cannot be written there: {error.strerror}.",
            where=str(folder),
            remedy="Name a folder that this user can write to with --folder.",
        ) from error
    return list(files)


def _filled(template: str, name: str) -> str:
    text = resources.files("console").joinpath("templates", template).read_text(encoding="utf-8")
    return Template(text).substitute(name=name, Name="".join(word.title() for word in name.split("_")))


def next_steps(name: str, folder: Path, settings: Settings) -> str:
    """What to do with it, and the lines for `throughline.yaml`: nobody finds it before its folder is named there."""
    named = bool(settings.strategies.folder) and Path(settings.strategies.folder) == folder
    lines = f"  strategies:\n    folder: {folder}\n"
    enabled = ", ".join([*settings.strategies.enabled, name])
    first = "next: " if named else f"next: name its folder in throughline.yaml:\n{lines}then "
    return f"{first}`throughline strategies check {name}`, and enable it:\n{lines}    enabled: [{enabled}]"
