"""`throughline debug`: let one area of the running processes say more, without a restart."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from config.home import ensure_home
from config.loading import load
from console.commands.options import AsJson, choice
from console.output import console, print_json
from console.records import COMPONENT
from pipeline.domain.events import Area, EventName
from pipeline.domain.timeframes import iso
from pipeline.trace import debugging, logs
from pipeline.trace.events import LoggedEvents

ALL = "all"

debug = typer.Typer(help="Debug one area of this host's processes, without a restart.", no_args_is_help=True)

Areas = Annotated[list[str], typer.Argument(metavar="AREA...", help=f"Of: {', '.join(Area)}, or all.")]


@debug.command()
def on(
    areas: Areas,
    minutes: Annotated[float, typer.Option(min=0.1, max=1440, help="Off again by itself after this.")] = 10,
) -> None:
    """Their DEBUG lines are written from the next second on, whatever `logging.level` is."""
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    _switch({**_are_on(), **dict.fromkeys(_named(areas), until)})


@debug.command()
def off(
    areas: Annotated[list[str] | None, typer.Argument(metavar="[AREA...]", help="All when none.")] = None,
) -> None:
    """Back to what `logging.level` says."""
    gone = set(_named(areas)) if areas else set(Area)
    _switch({area: until for area, until in _are_on().items() if area not in gone})


@debug.command()
def status(as_json: AsJson = False) -> None:
    """What is being debugged on this host, and until when."""
    if as_json:
        print_json({area.value: iso(until) for area, until in _are_on().items()})
    else:
        _say(_are_on())


def _named(areas: list[str]) -> list[Area]:
    if ALL in (name.lower() for name in areas):
        return list(Area)
    return [Area(choice(name, [*Area, ALL], "area") or "") for name in areas]


def _are_on() -> dict[Area, datetime]:
    now = datetime.now(UTC)
    known = debugging.read(debugging.path_in(load().home))
    return {area: until for area, until in known.items() if until > now}


def _switch(areas: dict[Area, datetime]) -> None:
    settings = load()
    ensure_home(settings.home)
    logs.configure(COMPONENT, settings)
    debugging.switch(debugging.path_in(settings.home), areas)
    told = [f"{area} until {iso(until)}" for area, until in areas.items()]
    LoggedEvents().emit(EventName.DEBUGGING, areas=told, by=f"{getpass.getuser()} (command line)")
    _say(areas)


def _say(areas: dict[Area, datetime]) -> None:
    if not areas:
        console().print("nothing is being debugged")
    for area, until in areas.items():
        console().print(f"{area} until {until:%H:%M:%S} UTC; `throughline logs -f` shows its DEBUG lines")
