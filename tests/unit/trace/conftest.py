"""A process's log in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.home import ensure_home
from config.loading import load
from pipeline.trace import logs

Lines = Callable[[str], list[dict[str, Any]]]
Configure = Callable[..., Lines]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Configure]:
    """Configures this process's logging; gives a function that reads a file's records back."""

    def configure(component: str = "worker-market", **variables: str) -> Lines:
        env = {f"THROUGHLINE_{name}": value for name, value in variables.items()}
        settings = load({**env, "THROUGHLINE_HOME": str(tmp_path)}, tmp_path)
        ensure_home(settings.home)
        logs.configure(component, settings)
        return lambda name: [json.loads(line) for line in (tmp_path / "logs" / name).read_text().splitlines()]

    yield configure
    logs.unconfigure()
