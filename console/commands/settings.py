"""`throughline config`: the settings as they are now."""

from __future__ import annotations

import typer
import yaml
from rich.markup import escape

from config.loading import load, read
from config.reference import explain
from config.snapshot import config_hash, flat, snapshot
from console.commands.options import AsJson
from console.output import console, print_json, print_table, table

config = typer.Typer(help="The settings as they are now.", no_args_is_help=True)


@config.command()
def show(as_json: AsJson = False) -> None:
    """Every setting with its value and where it comes from. Secrets read `(set)`."""
    loaded = read()
    if as_json:
        print_json(snapshot(loaded.settings))
        return
    rows = [
        (
            name,
            escape(loaded.sources[name].where) if name in loaded.sources else "default",
            escape(_short(value)),
        )
        for name, value in flat(loaded.settings).items()
    ]
    print_table(table(("key", "from", "value"), rows))


def _short(value: object) -> str:
    text = (
        value
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
    )
    return text.removesuffix("\n...").strip()


@config.command(name="hash")
def hash_(as_json: AsJson = False) -> None:
    """The hash over everything that changes what the chain does: equal on every host of one system."""
    value = config_hash(load())
    if as_json:
        print_json({"config_hash": value})
    else:
        console().print(value)


@config.command()
def env(as_json: AsJson = False) -> None:
    """Every environment variable that sets something: what it takes and what holds without it."""
    explained = explain()
    if as_json:
        print_json([{"variable": each.variable, "key": each.key, "takes": each.takes, "default": each.default,
                     "unit": each.unit, "doc": each.doc} for each in explained])  # fmt: skip
        return
    rows = [(each.variable, escape(each.takes), each.unit, escape(each.default)) for each in explained]
    print_table(table(("variable", "takes", "unit", "default"), rows))
