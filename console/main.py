"""`throughline`: the command line. Every command is a thin function in `console/commands/`."""

from __future__ import annotations

import sys

import typer

from console import failures
from console.commands import demo, enqueue, logs, reading, roles, settings, status, switches, up

app = typer.Typer(
    name="throughline",
    help="A crypto trading pipeline on Celery and Redis: one id from the candle to the fill.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RUN = "Run"
ASK = "Read"
STEER = "Steer"

app.command(rich_help_panel=RUN)(up.up)
app.command(rich_help_panel=RUN)(demo.demo)
app.command(rich_help_panel=RUN)(roles.sim)
app.command(rich_help_panel=RUN)(roles.worker)
app.command(rich_help_panel=RUN)(roles.beat)
app.command(rich_help_panel=RUN)(roles.flower)
app.command(rich_help_panel=STEER)(enqueue.enqueue)
app.add_typer(switches.kill, name="kill", rich_help_panel=STEER)
app.command(rich_help_panel=STEER)(switches.trading)
app.command(rich_help_panel=ASK)(reading.trace)
app.command(rich_help_panel=ASK)(reading.decisions)
app.command(rich_help_panel=ASK)(reading.orders)
app.command(rich_help_panel=ASK)(reading.positions)
app.command(rich_help_panel=ASK)(status.status)
app.command(rich_help_panel=ASK)(logs.logs)
app.command(rich_help_panel=ASK)(settings.universe)
app.add_typer(settings.config, name="config", rich_help_panel=ASK)


def main() -> None:
    """The entry point: 0 fine, 1 a finding, 2 wrong usage or configuration."""
    try:
        app()
    except Exception as error:  # noqa: BLE001  whatever happens, people get a sentence and the place of the trace
        sys.exit(failures.explain(error))


if __name__ == "__main__":
    main()
