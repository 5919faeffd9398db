"""`throughline`: the command line. Every command is a thin function in `console/commands/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

import typer

COMMANDS: Mapping[str, str] = {
    "up": "up:up",
    "demo": "demo:demo",
    "sim": "roles:sim",
    "feed": "feed:feed",
    "worker": "roles:worker",
    "beat": "roles:beat",
    "watch": "watching:watch",
    "exporter": "roles:exporter",
    "flower": "roles:flower",
    "migrate": "migrating:migrate",
    "redis-acl": "redis_acl:redis_acl",
    "prune": "pruning:prune",
    "backup": "copies:backup",
    "restore": "copies:restore",
    "enqueue": "enqueue:enqueue",
    "kill": "switches:kill",
    "trading": "switches:trading",
    "latches": "switches:latches",
    "rearm": "switches:rearm",
    "reconcile": "reconciling:reconcile",
    "trace": "reading:trace",
    "decisions": "reading:decisions",
    "orders": "reading:orders",
    "positions": "reading:positions",
    "status": "status:status",
    "doctor": "doctor:doctor",
    "health": "health:health",
    "rehearse": "rehearse:rehearse_command",
    "metrics": "figures:metrics",
    "report": "figures:report",
    "bottlenecks": "figures:bottlenecks",
    "logs": "logs:logs",
    "debug": "debug:debug",
    "universe": "universe:universe",
    "config": "settings:config",
    "strategies": "strategies:strategies",
}
"""Every command by its name: the module of `console.commands` it is in, and its function or group there."""


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands; only their modules are loaded, for each loads a part of the pipeline."""
    app = typer.Typer(
        name="throughline",
        help="A crypto trading pipeline on Celery and Redis: one id from the candle to the fill.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_nothing_in_common)
    for name in names:
        module, attribute = COMMANDS[name].split(":")
        command = getattr(import_module(f"console.commands.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _nothing_in_common() -> None:
    """What makes a group of a single command: its name stays the first word."""
