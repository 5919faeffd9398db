"""Progress of what takes minutes. It goes to stderr, so that `--json` stays JSON."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

Say = Callable[[str], None]


def on_stderr() -> Say:
    """Each line begins with the seconds since now."""
    began, console = time.monotonic(), Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
    return lambda text: console.print(f"{time.monotonic() - began:5.0f} s  {text}")
