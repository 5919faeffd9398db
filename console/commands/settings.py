"""`throughline config`: the settings as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer
import yaml
from rich.markup import escape

from config.loading import load, read
from config.reference import explain
from config.snapshot import config_hash, diff, flat, snapshot
from console import failures
from console.commands.options import AsJson, Limit
from console.output import console, print_json, print_table, table
from console.records import opened
from console.render import values as v
from pipeline.domain.errors import ConfigError

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
    print_table(table(("key", "from", "value"), rows, gives=("from", "value")))


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


@config.command(name="diff")
def diff_(
    older: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="The newest run when not given.")
    ] = None,
    newer: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="The settings now when not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What changed from one run to another, or since a run: each key with its old and new value. 1 when any did."""
    before = _run(older)
    after = _now() if newer is None else _run(newer)
    changes = diff(_snapshot(before), _snapshot(after))
    told = {"from": before["session_id"], "to": after["session_id"]}
    if as_json:
        print_json({**told, "changes": [asdict(each) for each in changes]})
    elif changes:
        rows = [(each.key, escape(_short(each.old)), escape(_short(each.new))) for each in changes]
        print_table(table(("key", str(told["from"]), str(told["to"])), rows))
    else:
        console().print(f"nothing changed from {told['from']} to {told['to']}")
    if changes:
        raise typer.Exit(failures.FINDING)


@config.command()
def runs(limit: Limit = 20, as_json: AsJson = False) -> None:
    """The runs that the ledger knows, the newest first: `config diff` compares them."""
    with opened().ledger.read() as unit:
        known = [{**run, "snapshot": None} for run in unit.sessions.newest(limit)]
    if as_json:
        print_json([{name: run[name] for name in _RUN} for run in known])
    elif known:
        rows = [[cell(run[name]) for name, cell in _RUN.items()] for run in known]
        print_table(table(tuple(_RUN), rows, gives=(), spare=("mode", "account")))
    else:
        console().print("none")


_RUN = {
    "session_id": v.text,
    "started_at": v.lately,
    "mode": v.text,
    "account": v.text,
    "config_hash": v.text,
}


def _run(session_id: str | None) -> Mapping[str, object]:
    with opened().ledger.read() as unit:
        found = unit.sessions.latest() if session_id is None else unit.sessions.get(session_id)
    if found is None:
        raise ConfigError(
            "the ledger knows no run" + (f" called {session_id}" if session_id else " yet"),
            where="throughline config diff",
            remedy="`throughline config runs` lists them",
        )
    return found


def _now() -> Mapping[str, object]:
    return {"session_id": "now", "snapshot": snapshot(load())}


def _snapshot(run: Mapping[str, object]) -> Mapping[str, object]:
    taken = run["snapshot"]
    return taken if isinstance(taken, Mapping) else {}


@config.command()
def env(as_json: AsJson = False) -> None:
    """Every environment variable that sets something: what it takes and what holds without it."""
    explained = explain()
    if as_json:
        print_json([{"variable": each.variable, "key": each.key, "takes": each.takes, "default": each.default,
                     "unit": each.unit, "doc": each.doc} for each in explained])  # fmt: skip
        return
    rows = [(each.variable, escape(each.takes), each.unit, escape(each.default)) for each in explained]
    print_table(table(("variable", "takes", "unit", "default"), rows, gives=("takes", "default")))
