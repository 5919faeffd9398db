"""`throughline`: the command line. Every command is a thin function in `console/commands/`."""

from __future__ import annotations

import typer

from console.commands import (
    debug,
    demo,
    doctor,
    enqueue,
    feed,
    figures,
    health,
    logs,
    migrating,
    reading,
    reconciling,
    rehearse,
    roles,
    settings,
    status,
    strategies,
    switches,
    universe,
    up,
    watching,
)

app = typer.Typer(
    name="throughline",
    help="A crypto trading pipeline on Celery and Redis: one id from the candle to the fill.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(up.up)
app.command()(demo.demo)
app.command()(roles.sim)
app.command()(feed.feed)
app.command()(roles.worker)
app.command()(roles.beat)
app.command()(watching.watch)
app.command()(roles.exporter)
app.command()(roles.flower)
app.command()(migrating.migrate)
app.command()(enqueue.enqueue)
app.add_typer(switches.kill, name="kill")
app.command()(switches.trading)
app.command()(switches.latches)
app.command()(switches.rearm)
app.command()(reconciling.reconcile)
app.command()(reading.trace)
app.command()(reading.decisions)
app.command()(reading.orders)
app.command()(reading.positions)
app.command()(status.status)
app.command()(doctor.doctor)
app.command()(health.health)
app.command("rehearse")(rehearse.rehearse_command)
app.command()(figures.metrics)
app.command()(figures.report)
app.command()(figures.bottlenecks)
app.command()(logs.logs)
app.add_typer(debug.debug, name="debug")
app.command()(universe.universe)
app.add_typer(settings.config, name="config")
app.add_typer(strategies.strategies, name="strategies")
