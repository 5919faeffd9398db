"""A process that is asked where it is says it at once: the place of each of its threads, on its standard error."""

from __future__ import annotations

import faulthandler
import signal
import sys

ASKED = signal.SIGUSR2


def tell_when_asked() -> None:
    """From now on `kill -USR2 PID` shows where this process hangs, or one that it forks, and disturbs nothing.

    It is told in the signal itself, by no Python: also while the interpreter waits, or spins.
    """
    if sys.__stderr__ is not None:
        faulthandler.register(ASKED, file=sys.__stderr__, all_threads=True)
