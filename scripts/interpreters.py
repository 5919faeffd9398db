"""Finds the Python that .venv is made from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3", "python")
QUESTION = """
import json, sys
try:
    import ensurepip, venv
    makes_environments = True
except ImportError:
    makes_environments = False
print(json.dumps([sys.executable, list(sys.version_info[:2]), makes_environments]))
"""


class NoPython(Exception):
    """No interpreter here can be used; the text says what is missing."""


class Interpreter:
    """One command and what it turned out to be. `version` is None when it does not run."""

    def __init__(self, command: str | Path) -> None:
        self.command = str(command)
        self.path, self.version, self.makes_environments = self._ask()

    @property
    def is_in_range(self) -> bool:
        """True for Python 3.11 to 3.13."""
        return self.version is not None and OLDEST <= self.version <= NEWEST

    def _ask(self) -> tuple[str, tuple[int, int] | None, bool]:
        command = [self.command, "-I", "-c", QUESTION]
        try:
            answer = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=True
            )
            path, version, makes_environments = json.loads(answer.stdout.decode())
        except (OSError, ValueError, subprocess.SubprocessError):
            return self.command, None, False
        return path, (version[0], version[1]), makes_environments


def choose_python() -> str:
    """Path of the first usable one: $PYTHON, the usual names, the interpreter that runs this.

    Each is asked, not only looked up: version managers leave names on the PATH that lead nowhere.
    Raises: NoPython.
    """
    without_venv: list[Interpreter] = []
    for command in filter(None, (os.environ.get("PYTHON"), *CANDIDATES, sys.executable)):
        found = Interpreter(command)
        if found.is_in_range and found.makes_environments:
            return found.path
        if found.is_in_range:
            without_venv.append(found)
    raise NoPython(_incomplete(without_venv[0]) if without_venv else _nothing())


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
