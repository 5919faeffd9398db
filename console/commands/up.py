"""`throughline up`: everything on this host, until Ctrl-C."""

from __future__ import annotations

import math

from rich.console import Console

from console.output import console
from console.preparing import prepare
from console.supervise.start import Plan, Running, flower_login, flower_url, running
from console.supervise.waiting import Interrupted, Interrupts


def up() -> None:
    """Start everything on this host, restart what dies, and stop gracefully on Ctrl-C (twice: hurry)."""
    out, interrupts = console(), Interrupts()
    try:
        with (
            interrupts.listening(),
            running(Plan(overlay={}, prepare=prepare), interrupts, out) as everything,
        ):
            _say_how_to_look(out, everything)
            for _ in everything.host.watch(math.inf):
                pass
            out.print("stopping; once more to hurry")
    except Interrupted:
        out.print("stopped before everything was up")
    else:
        out.print("everything is stopped")


def _say_how_to_look(out: Console, everything: Running) -> None:
    settings = everything.settings
    out.print(
        f"\nrunning in mode [bold]{settings.mode}[/], home {settings.home.absolute()}; Ctrl-C stops",
        soft_wrap=True,
    )
    out.print("  throughline status · decisions · trace ID · logs -f", soft_wrap=True)
    if settings.flower.enabled:
        out.print(
            f"  Flower: {flower_url(settings)} (its search finds a decision's tasks by its id); "
            f"{flower_login(settings)}",
            soft_wrap=True,
        )
