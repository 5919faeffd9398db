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
from config.loading import Loaded, read
from console.supervise.programs import embeds_simulator

Overlay = dict[str, object]
"""Values by the keys' names (`redis.port`)."""


def run_account(loaded: Loaded) -> Overlay:
    """In mode paper: an account of this run's own on the simulated exchange, unless you gave it keys.

    The embedded simulator forgets everything when it ends, so its account has a new name each time as well:
    under the old one the ledger would expect the last run's positions to be there.
    """
    if not loaded.settings.has_simulator:
        return {}
    fresh: Overlay = {
        "exchange.api_key": secrets.token_hex(16),
        "exchange.api_secret": secrets.token_hex(32),
    }
    own = loaded.settings.exchange.account
    name: Overlay = {"exchange.account": f"{own}-{datetime.now(UTC):%Y%m%d%H%M%S}"}
    keys = {} if fresh.keys() & loaded.sources.keys() else fresh
    return {**keys, **(unset(name, loaded) if keys or embeds_simulator(loaded.settings) else {})}


def has_fresh_keys(loaded: Loaded) -> bool:
    """Whether the account's keys are this run's own, so that the exchange has never heard of them."""
    said = loaded.sources.get("exchange.api_key")
    return (
        said is not None
        and loaded.session_file is not None
        and said.where.startswith(str(loaded.session_file))
    )


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

    def add(self, overlay: Overlay) -> Loaded:
        """Write these values for the processes of this run; what they will read.

        Raises: ConfigError when a value is impossible.
        """
        self._overlay |= overlay
        text = "# Written by `throughline up` for its own processes; removed when it ends.\n"
        write_private(self._home.session_file, (text + yaml.safe_dump(_tree(self._overlay))).encode())
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
