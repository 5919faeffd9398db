"""What one run decides for its processes: `<home>/session.yaml`, gone when the run is over."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import yaml

from config.home import Home, write_private
from config.keys import by_name
from config.loading import Loaded, load, read
from config.settings import Settings
from console.supervise.programs import embeds_simulator

Overlay = dict[str, object]
"""Values by the keys' names (`redis.port`)."""


def run_account(loaded: Loaded) -> Overlay:
    """A fresh account with random keys for the embedded simulator, whose memory does not outlive the run.

    It has a name of its own, too: the ledger would expect the last run's positions to be there.
    """
    if not embeds_simulator(loaded.settings):
        return {}
    fresh: Overlay = {"exchange.api_key": secrets.token_hex(16), "exchange.api_secret": secrets.token_hex(32)}
    if "exchange.account" not in loaded.sources:
        fresh["exchange.account"] = f"{loaded.settings.exchange.account}-{datetime.now(UTC):%Y%m%d%H%M%S}"
    return fresh


def unset(overlay: Overlay, loaded: Loaded) -> Overlay:
    """The part of an overlay that your file and your variables say nothing about."""
    return {key: value for key, value in overlay.items() if key not in loaded.sources}


@contextmanager
def written(home: Home) -> Iterator[Session]:
    """A session whose file is removed when the block ends, however it ends."""
    home.session_file.unlink(missing_ok=True)  # a killed run's ports and keys are not ours
    try:
        yield Session(home)
    finally:
        home.session_file.unlink(missing_ok=True)


class Session:
    """The overlay of a run, as it grows while the run starts."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._overlay: Overlay = {}

    def add(self, overlay: Overlay) -> Settings:
        """Write these values for the processes of this run; the settings as they are now.

        Raises: ConfigError when a value is impossible.
        """
        self._overlay |= overlay
        text = "# Written by `throughline up` for its own processes; removed when it ends.\n"
        write_private(self._home.session_file, (text + yaml.safe_dump(_tree(self._overlay))).encode())
        return load(self.environment())

    def read(self) -> Loaded:
        return read(self.environment())

    def environment(self) -> dict[str, str]:
        """Ours, with the absolute home; and without variables that ask for any free port: one was found."""
        settled = {_variable(key) for key in self._overlay if key.endswith(".port")}
        kept = {name: text for name, text in os.environ.items() if name not in settled}
        return {**kept, "THROUGHLINE_HOME": str(self._home.root)}


def _variable(key: str) -> str:
    return by_name()[key].variable


def _tree(overlay: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in overlay.items():
        *sections, leaf = name.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[leaf] = value
    return tree
