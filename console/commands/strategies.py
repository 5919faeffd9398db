"""`throughline strategies`: which there are, what they are, a new one, and whether they are honest."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from config.loading import load, read
from config.settings import Settings
from console import failures, scaffold
from console.choosing import faults
from console.commands.options import AsJson
from console.output import console, print_json, print_table, table
from console.render.strategies import card, counted
from pipeline.domain.errors import ConfigError
from pipeline.market import recordings
from pipeline.strategies import registry
from pipeline.strategies.examination import Report, examine
from pipeline.strategies.history import History, walk
from pipeline.strategies.interface import AnyStrategy

strategies = typer.Typer(
    help="Which strategies there are, and whether they are honest.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="A strategy, as `strategies list` names it.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with recorded candles (BTCUSDT_15m.csv …); seeded prices without one."
    ),
]
Every = Annotated[int, typer.Option("--every", min=1, help="Look at every so many-th close only.")]
Folder = Annotated[Path | None, typer.Option("--folder", help="Where to; strategies.folder if not given.")]


@strategies.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """Every strategy that could run, which of them do, what is broken, and what the settings have wrong. Exit code 1
    when anything is.
    """
    loaded = read()
    settings = loaded.settings
    known, broken = registry.everything(settings.strategies.folder)
    wrong = faults(loaded, known, broken)
    if as_json:
        print_json(
            {
                "strategies": [_as_record(known[name], settings) for name in known],
                "broken": broken_of(broken),
                "wrong": [{"where": each.where, "what": each.what, "remedy": each.remedy} for each in wrong],
            }
        )
    else:
        rows = [
            (name, _standing(name, settings), _origin(known[name]), escape(_summary(known[name])))
            for name in known
        ]
        print_table(table(("name", "runs", "from", "what it does"), rows))
        for each in broken:
            console().print(f"[yellow]broken: {escape(str(each))}[/]", soft_wrap=True)
        for each_wrong in wrong:
            console().print(f"[yellow]wrong: {escape(str(each_wrong))}[/]", soft_wrap=True)
    if broken or wrong:
        raise typer.Exit(failures.FINDING)


def broken_of(broken: Sequence[registry.Broken]) -> list[dict[str, object]]:
    return [{"file": str(each.file), "line": each.line, "what": each.what} for each in broken]


def _as_record(strategy: type[AnyStrategy], settings: Settings) -> dict[str, object]:
    return {
        "name": strategy.name,
        "runs": strategy.name in settings.strategies.enabled,
        "from": _origin(strategy),
        "what": _summary(strategy),
        "warm_up": strategy.warm_up,
    }


def _standing(name: str, settings: Settings) -> str:
    return "yes" if name in settings.strategies.enabled else "no"


def _origin(strategy: type[AnyStrategy]) -> str:
    if strategy.name in registry.BUILT_IN:
        return "built in"
    return inspect.getsourcefile(strategy) or strategy.__module__


def _summary(strategy: type[AnyStrategy]) -> str:
    return (inspect.getdoc(strategy) or "").partition("\n")[0]


@strategies.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """One strategy: what it looks for, when it loses, its parameters with their bounds and present values."""
    settings = load()
    strategy = _built(name, settings)
    if as_json:
        print_json(
            {
                **_as_record(type(strategy), settings),
                "doc": inspect.getdoc(strategy),
                "params": strategy.params.model_dump(mode="json"),
                "schema": strategy.params_type.model_json_schema(),
            }
        )
        return
    for part in card(strategy, settings.strategies.params.get(name, {})):
        console().print(part, soft_wrap=True, markup=False)


def _built(name: str, settings: Settings) -> AnyStrategy:
    """The strategy with its configured parameters. Raises: ConfigError when nobody knows it."""
    known, broken = registry.everything(settings.strategies.folder)
    found = [each for each in broken if each.mentions(name)]
    if name not in known and found:
        raise ConfigError("is broken", where=name, remedy="; ".join(map(str, found)))
    if name not in known:
        raise registry.unknown(name, known)
    params = {name: settings.strategies.params.get(name, {})}
    return registry.build([name], params, known)[0]


@strategies.command()
def new(name: Annotated[str, typer.Argument(help="my_strategy")], folder: Folder = None) -> None:
    """Write a working strategy to begin with, and its test. Never overwrites anything."""
    settings = load()
    configured = Path(settings.strategies.folder) if settings.strategies.folder else Path("strategies")
    target = folder or configured
    known, _ = registry.everything(settings.strategies.folder)
    for file in scaffold.write(name, target, known):
        console().print(f"wrote {escape(str(file))}", soft_wrap=True)
    console().print(f"\n{escape(scaffold.next_steps(name, target, settings))}", soft_wrap=True)


@strategies.command()
def check(name: Name, data: Data = None, every: Every = 1, as_json: AsJson = False) -> None:
    """Prove that it does not look ahead, does not hang on its start-up, and repeats itself. Exit code 1 if
    not.
    """
    settings = load()
    built = _built(name, settings)
    registry.enough_bars([built], settings.market.bars)
    report = examine(lambda: _built(name, settings), _histories(data, settings), settings.market.bars, every)
    if as_json:
        print_json(report.as_record())
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(failures.FINDING)


def _histories(data: Path | None, settings: Settings) -> list[History]:
    """The recordings that were named, or those that the simulated exchange serves, or seeded walks."""
    folder = data or (Path(settings.simulator.data) if settings.simulator.data else None)
    if folder is None:
        return [walk(seed) for seed in (7, 8, 9)]
    return recordings.histories(folder)


def _print(report: Report) -> None:
    out = console()
    out.print(
        f"[bold]{report.strategy}[/] over {report.closes} closes of {report.histories} histories",
        soft_wrap=True,
    )
    for line in counted(report):
        out.print(line, soft_wrap=True)
