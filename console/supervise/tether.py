"""Run a command that cannot outlive its parent: `python -I tether.py SIGNAL COMMAND...`.

The kernel is asked to send SIGNAL when the parent dies, also by `kill -9`, and then this process becomes
the command. So a killed `up` takes its supervisor along, and a killed supervisor its programs. Linux keeps
the request over `exec`. Other systems have no such request: there the next `up` on the same home ends what a
killed one left.

Imports nothing of the project: it runs before every program and must cost milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT = "TETHERED_TO"
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Never returns: becomes the command, or exits with 127 when there is no such command."""
    die_with_parent(signal.Signals[f"SIG{arguments[0]}"])
    if not parent_still_there(os.environ.get(PARENT, "")):
        raise SystemExit(1)
    # The command's own children compare their parent with this: exec keeps the process id.
    os.environ[PARENT] = str(os.getpid())
    become(arguments[1:])


def die_with_parent(wanted: signal.Signals) -> None:
    """Linux only. The parent is the thread that forked us: `up` does that in its main thread."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(wanted), 0, 0, 0)


def parent_still_there(expected: str) -> bool:
    """Whether the parent is the one that wanted us: it may have died before the kernel was asked."""
    return not expected or os.getppid() == int(expected)


def become(command: list[str]) -> None:
    try:
        os.execvp(command[0], command)  # noqa: S606  no shell is wanted between supervisor and program
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        raise SystemExit(127) from None


if __name__ == "__main__":
    main(sys.argv[1:])
