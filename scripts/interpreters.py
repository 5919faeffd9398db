"""Finds the Python that .venv is made from: the quickest of those that can be used.

Two builds of one version may differ by half in speed: a distribution's is compiled with a profile of real work, what a
version manager compiles by itself usually is not. Here everything costs processor time that orders wait for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3", "python")
CLEARLY = 1.15
"""So many times as quick is no accident of the measurement."""
QUESTION = """
import json, sys, timeit
try:
    import ensurepip, venv
    makes_environments = True
except ImportError:
    makes_environments = False
work = "for i in range(2000): d[str(i % 100)] = [i, i * 2]; sum(d[str(i % 100)])"
quickest_s = min(timeit.repeat(work, "d = {}", number=5, repeat=7))
print(json.dumps([sys.executable, list(sys.version_info[:2]), makes_environments, quickest_s]))
"""


class NoPython(Exception):
    """No interpreter here can be used; the text says what is missing."""


class Interpreter:
    """One command and what it turned out to be. `version` is None when it does not run; `work_s` is how long it takes
    for a piece of work that is the same for all.
    """

    def __init__(self, command: str | Path) -> None:
        self.command = str(command)
        self.path, self.version, self.makes_environments, self.work_s = self._ask()

    @property
    def is_in_range(self) -> bool:
        """True for Python 3.11 to 3.13."""
        return self.version is not None and OLDEST <= self.version <= NEWEST

    def _ask(self) -> tuple[str, tuple[int, int] | None, bool, float]:
        command = [self.command, "-I", "-c", QUESTION]
        try:
            answer = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=True
            )
            path, version, makes_environments, work_s = json.loads(answer.stdout.decode())
        except (OSError, ValueError, subprocess.SubprocessError):
            return self.command, None, False, 0.0
        return path, (version[0], version[1]), makes_environments, work_s


def choose_python() -> str:
    """Path of the one to use: $PYTHON if it can be; else the first of the usual names on the PATH, unless another is
    clearly quicker; else the interpreter that runs this.

    Each is asked, not only looked up: version managers leave names on the PATH that lead nowhere.
    Raises: NoPython.
    """
    without_venv: list[Interpreter] = []
    for commands in ([os.environ.get("PYTHON")], _on_path(), [sys.executable]):
        found = [each for each in map(Interpreter, filter(None, commands)) if each.is_in_range]
        usable = [each for each in found if each.makes_environments]
        if usable:
            return _quickest(usable).path
        without_venv += found
    raise NoPython(_incomplete(without_venv[0]) if without_venv else _nothing())


def _on_path() -> Iterator[str]:
    """Every command of one of the usual names, in each folder of the PATH: a version manager hides the others."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for name in CANDIDATES:
        yield from filter(None, (shutil.which(name, path=folder) for folder in folders if folder))


def _quickest(usable: list[Interpreter]) -> Interpreter:
    """The first, unless another one is clearly quicker."""
    best = min(usable, key=lambda each: each.work_s)
    return best if usable[0].work_s > best.work_s * CLEARLY else usable[0]


def _incomplete(found: Interpreter) -> str:
    package = "python{}.{}-venv".format(*found.version or OLDEST)
    return (
        f"{found.path} cannot create environments: its venv module is incomplete. "
        f"On Debian and Ubuntu install it with `apt-get install {package}`, then run the command again."
    )


def _nothing() -> str:
    return (
        f"Throughline needs Python 3.11, 3.12 or 3.13 and none was found (asked: {', '.join(CANDIDATES)}). "
        "Install one, or name it: `make install PYTHON=/path/to/python3.12`."
    )
