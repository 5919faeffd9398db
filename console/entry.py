"""Where `throughline` begins: with the command that was named, and not with all the others."""

from __future__ import annotations

import sys


def main() -> None:
    """0 fine, 1 a finding, 2 wrong usage or configuration."""
    try:
        from console.main import COMMANDS, application  # noqa: PLC0415  what fails in it is explained, too

        named = [name for name in sys.argv[1:2] if name in COMMANDS]
        application(named or COMMANDS)(prog_name="throughline")
    except Exception as error:  # noqa: BLE001  whatever happens, people get a sentence and the place of the trace
        from console import failures  # noqa: PLC0415  only who fails pays for it

        sys.exit(failures.explain(error))
