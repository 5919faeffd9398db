"""How people write a symbol or an account, and how the ledger does."""

from __future__ import annotations

import difflib

import typer

from config.settings import Settings
from pipeline.domain.instruments import plain
from pipeline.domain.ports import Unit

RUNS = 5
"""So many of the newest runs tell which accounts there are."""


def known_symbol(unit: Unit, settings: Settings, name: str) -> str:
    """The ledger's spelling. Raises: typer.BadParameter when neither ledger nor settings know the symbol: a misspelt
    one would be answered with nothing.
    """
    symbol = as_in_ledger(settings, name)
    run = unit.sessions.latest()
    kept = unit.guards.universe(str(run["account"]) if run else settings.account)
    listed = {*settings.universe.symbols, *(kept.symbols if kept else ())}
    if (
        plain(symbol) in map(plain, listed)
        or unit.decisions.latest(symbol=symbol, limit=1)
        or unit.positions.latest(symbol=symbol, limit=1)
    ):
        return symbol
    near = difflib.get_close_matches(symbol, listed, n=1)
    hint = f"did you mean {near[0]}?" if near else "`throughline universe` lists what may be traded"
    raise typer.BadParameter(f"neither the ledger nor universe.symbols has '{name}'; {hint}")


def known_account(unit: Unit, settings: Settings, name: str) -> str:
    """Raises: typer.BadParameter when neither ledger nor settings know it."""
    if name == settings.account or unit.equity.latest(name) or unit.positions.latest(account=name, limit=1):
        return name
    runs = dict.fromkeys(str(run["account"]) for run in unit.sessions.newest(RUNS))
    newest = f"; the newest are {', '.join(runs)}" if runs else ""
    raise typer.BadParameter(f"the ledger has no account '{name}'{newest}")


def as_in_ledger(settings: Settings, name: str) -> str:
    """The ledger's spelling, without asking the exchange: the ledger may be all that is left."""
    wanted = plain(name)
    known = {plain(symbol): symbol for symbol in settings.universe.symbols}
    spelled = known.get(wanted, name)
    if ":" in spelled:
        return spelled
    base = wanted.removesuffix("USDT")
    return f"{base}/USDT:USDT"
