"""Where `throughline` begins: with the command that was named, and not with all the others."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from pipeline.watch.whereabouts import tell_when_asked

INTERRUPTED = 130


def main() -> None:
    """0 fine, 1 a finding, 2 wrong usage or configuration, 130 interrupted."""
    try:
        tell_when_asked()
        _say_what_can_be_said()
        from console.main import COMMANDS, application  # noqa: PLC0415  what fails in it is explained, too

        named = [name for name in sys.argv[1:2] if name in COMMANDS]
        application(named or COMMANDS)(prog_name="throughline")
    except KeyboardInterrupt:  # while it is being loaded, too: nothing was begun
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001  whatever happens, people get a sentence and the place of the trace
        from console import failures  # noqa: PLC0415  only who fails pays for it

        sys.exit(failures.explain(error))


def _say_what_can_be_said() -> None:
    """A letter that the terminal's encoding lacks becomes a question mark: no command fails for it when it is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
