"""Where `throughline` begins. A container asks `health` twice a minute: that command does not load all the others."""

from __future__ import annotations

import sys


def main() -> None:
    """0 fine, 1 a finding, 2 wrong usage or configuration."""
    try:
        if sys.argv[1:2] == ["health"]:
            _health()
        else:
            _everything()
    except Exception as error:  # noqa: BLE001  whatever happens, people get a sentence and the place of the trace
        from console import failures  # noqa: PLC0415  only who fails pays for it

        sys.exit(failures.explain(error))


def _health() -> None:
    import typer  # noqa: PLC0415  each of the two loads its own

    from console.commands.health import health  # noqa: PLC0415  the same

    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command()(health)
    alone(sys.argv[2:], prog_name="throughline health")


def _everything() -> None:
    from console.main import app  # noqa: PLC0415  each of the two loads its own

    app(prog_name="throughline")
