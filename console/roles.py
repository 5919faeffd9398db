"""The command line of each role: the same for `up`, for `throughline worker` and for a container."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from config.sections.processes import FlowerSettings
from pipeline.domain.decisions import Stage

UPKEEP = "upkeep"
QUEUES = (*(stage.value for stage in Stage), UPKEEP)
QUEUES_OF: Mapping[str, Sequence[str]] = {
    "market": (Stage.FETCH.value, Stage.EVALUATE.value),
    "orders": (Stage.VALIDATE.value, Stage.EXECUTE.value, UPKEEP),
}
"""What `up` gives to each of its two workers: those that ask the exchange, and those that may send orders."""


def celery(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-A", "tasks", *arguments)


def worker(queues: Sequence[str], *, concurrency: int, name: str = "") -> tuple[str, ...]:
    """A Celery worker for these queues, called `<name>@<host>`.

    Pool, prefetch and whether remote control is on come from the app. Task events feed Flower. Gossip and
    mingle are left out: nothing here uses them, and each costs messages.
    """
    return celery(
        "worker",
        "--queues", ",".join(queues),
        "--hostname", f"{name or worker_name(queues)}@%h",
        "--concurrency", str(concurrency),
        "--task-events", "--without-gossip", "--without-mingle",
    )  # fmt: skip


def worker_name(queues: Sequence[str]) -> str:
    """`market` and `orders` for their usual queues, else the queues' names in a row."""
    for name, usual in QUEUES_OF.items():
        if set(usual) == set(queues):
            return name
    return "-".join(queues)


def beat() -> tuple[str, ...]:
    return celery("beat")


def feed() -> tuple[str, ...]:
    return (sys.executable, "-m", "console", "feed")


def watch() -> tuple[str, ...]:
    return (sys.executable, "-m", "console", "watch")


def exporter() -> tuple[str, ...]:
    return (sys.executable, "-m", "console", "exporter")


def flower() -> tuple[str, ...]:
    """It reads the settings for its password, so that `ps` does not show it."""
    return (sys.executable, "-m", "console", "flower")


def flower_itself(settings: FlowerSettings) -> tuple[str, ...]:
    """Flower's own command; the login is in its environment."""
    return celery("flower", f"--address={settings.host}", f"--port={settings.port}")


def simulator(state: Path, journal: Path | None = None) -> tuple[str, ...]:
    """The simulated exchange; it reads the settings for port and keys, so that `ps` shows no key."""
    command = (sys.executable, "-m", "console", "sim", f"--state={state}")
    return (*command, f"--journal={journal}") if journal else command


def become(command: Sequence[str]) -> NoReturn:
    """This process turns into the command: signals reach it as they are, and nothing stands in between."""
    sys.stdout.flush()
    os.execv(command[0], list(command))  # noqa: S606  no shell is wanted in between
