"""Where `throughline` begins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LOADED = (
    "import sys\n"
    "from console import entry\n"
    "sys.argv = ['throughline', sys.argv[1], '--help']\n"
    "try:\n"
    "    entry.main()\n"
    "finally:\n"
    "    print(*(name for name in ('ccxt', 'celery', 'numpy', 'sqlalchemy') if name in sys.modules), file=sys.stderr)\n"
)


@pytest.mark.parametrize(
    ("command", "says", "loads"),
    [
        ("health", "Does this host's ROLE do its work?", []),
        ("kill", "The kill switch", ["sqlalchemy"]),
        ("trading", "Set the trading state", ["sqlalchemy"]),
    ],
)
def test_a_command_loads_no_library_that_it_does_not_need(command: str, says: str, loads: list[str]) -> None:
    """A host asks eight containers twice a minute, and whoever throws a switch is in a hurry."""
    told = subprocess.run([sys.executable, "-c", LOADED, command], capture_output=True, text=True, check=True)
    assert says in told.stdout
    assert told.stderr.split() == loads


def test_what_is_no_command_is_named_and_all_that_are_can_be_listed() -> None:
    """Only the command that was named is loaded: a typing error must not look as if the others were gone."""
    assert "No such command 'stauts'" in answered("stauts").stderr
    assert {"up", "status", "kill"} <= set(answered("--help").stdout.split())


def answered(word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console", word], capture_output=True, text=True, check=False
    )


def entered(code: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`throughline <words>` in a process where this was done before."""
    begins = f"import sys\nfrom console import entry\nsys.argv = ['throughline', *{words!r}]\n{code}\nentry.main()\n"
    return subprocess.run(
        [sys.executable, "-c", begins],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


INTERRUPTED_WHILE_LOADING = """
import builtins
real = builtins.__import__
def load(name, *rest, **more):
    if name == "console.main":
        raise KeyboardInterrupt
    return real(name, *rest, **more)
builtins.__import__ = load
"""


def test_ctrl_c_while_a_command_is_loaded_is_no_stack_trace() -> None:
    """In its first second every command is still being imported, and people change their mind."""
    told = entered(INTERRUPTED_WHILE_LOADING, "status")
    assert (told.returncode, told.stderr) == (130, "")


def test_a_terminal_that_lacks_a_letter_fails_no_command() -> None:
    """The switch has been changed by then: exit code 1 would say that it was not."""
    says = "import console.main as main\nmain.application = lambda names: lambda **_: print('ACTIVE \u2192 HALTED')"
    told = entered(says, "trading", PYTHONIOENCODING="latin-1")
    assert (told.returncode, told.stdout, told.stderr) == (0, "ACTIVE ? HALTED\n", "")
