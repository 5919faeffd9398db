"""`throughline` as people run it: a command in a process of its own, with a home and ports of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.processes import ROOT, Started, child_environment
from tests.support.waiting import BUSY, eventually

START_S = 90.0
COMMAND_S = 60.0 * BUSY
FREE_PORTS = {
    "THROUGHLINE_REDIS_PORT": "0",
    "THROUGHLINE_SIMULATOR_PORT": "0",
    "THROUGHLINE_FLOWER_PORT": "0",
}


def throughline(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end. `variables` without their prefix."""
    return subprocess.run(
        [sys.executable, "-m", "console", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        env=environment(home, variables),
        cwd=ROOT,
        check=False,
    )


def environment(home: Path, variables: Mapping[str, str]) -> dict[str, str]:
    named = {f"THROUGHLINE_{name}": value for name, value in variables.items()}
    return child_environment({"THROUGHLINE_HOME": str(home), **named})


class Up:
    """A running `throughline up`."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        ports = {name.removeprefix("THROUGHLINE_"): "0" for name in FREE_PORTS}
        env = environment(home, {**ports, **variables})
        self.process = Started(
            "up", [sys.executable, "-m", "console", "up"], home.parent / f"{home.name}.log", env=env
        )
        self.process.await_output("Ctrl-C stops", START_S)

    def read(self, *arguments: str) -> Any:
        """What a command answers with `--json`."""
        answer = throughline(self.home, *arguments, "--json")
        assert answer.stdout, answer.stderr
        return json.loads(answer.stdout)

    def family(self) -> list[psutil.Process]:
        """Every process below it, all generations."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def program(self, name: str) -> dict[str, Any]:
        """One program as `status` shows it."""
        found: dict[str, Any] = next(
            each for each in self.read("status")["processes"] if each["name"] == name
        )
        return found


def all_gone(processes: list[psutil.Process], timeout: float = 40.0) -> None:
    """Fails the test when one of them is still there."""
    eventually(lambda: not names_of_living(processes), timeout, "every process of the run to be gone")


def end_tree(processes: list[psutil.Process]) -> None:
    """For a test that failed: its orphans must not outlive it."""
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.kill()


def names_of_living(processes: list[psutil.Process]) -> list[str]:
    return [command_line(each) for each in processes if each.is_running() and not is_zombie(each)]


def is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def command_line(process: psutil.Process) -> str:
    """Empty when it has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def pid_in(text: str) -> int:
    """The process id that a message names."""
    found = re.search(r"pid (\d+)", text)
    assert found, text
    return int(found[1])
