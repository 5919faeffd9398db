"""`throughline kill` and `throughline trading`: who may trade, and whether at all."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from console.accounts import settings_of_account
from console.commands.options import AsJson, choice, words
from console.output import console, print_json, print_table, table
from console.records import opened, writing
from pipeline.domain.checks import CheckCode
from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName
from pipeline.domain.guards import LATCHES, Latch
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.domain.timeframes import iso
from pipeline.stages import remembering

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

kill = typer.Typer(help="The kill switch: global, for a symbol, or for a strategy.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why; it is kept with the change.", callback=words)]
ForSymbol = Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")]
ForStrategy = Annotated[str | None, typer.Option("--strategy", help="Only this strategy.")]


class Wanted(StrEnum):
    """The trading states as one types them."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


@kill.command()
def on(reason: Reason, symbol: ForSymbol = None, strategy: ForStrategy = None) -> None:
    """Stop trading now: all of it, or one symbol, or one strategy."""
    pipeline = writing()
    scope, name = _scope(pipeline, symbol, strategy)
    switch = KillSwitch(scope=scope, name=name, reason=reason, set_by=_who(), set_at=datetime.now(UTC))
    with pipeline.ledger.begin(durable=True) as unit:
        unit.switches.set(switch)
    pipeline.events.emit(
        EventName.KILL_SWITCH, on=True, scope=scope, name=name, reason=reason, by=switch.set_by
    )
    console().print(f"kill switch [bold red]on[/]: {_what(scope, name)}")
    cancelled = pipeline.safeguarding.cancel_covered()  # here and now: the broker may be what is broken
    if cancelled.taken:
        console().print(f"cancelled {len(cancelled.taken)} open orders")
    if cancelled.left:
        names = ", ".join(f"{escape(each.symbol)} {each.client_order_id}" for each in cancelled.left)
        console().print(
            f"[bold red]still open[/], the exchange did not take their cancellation: {names}\n"
            "workers ask again each second while they run; look with `throughline orders`, or cancel them there"
        )


@kill.command()
def off(reason: Reason, symbol: ForSymbol = None, strategy: ForStrategy = None) -> None:
    """Take a kill switch back. Exit code 1 when it was not on."""
    pipeline = writing()
    scope, name = _scope(pipeline, symbol, strategy)
    with pipeline.ledger.begin(durable=True) as unit:
        was_on = unit.switches.clear(scope, name, by=_who(), reason=reason, at=datetime.now(UTC))
    pipeline.events.emit(
        EventName.KILL_SWITCH,
        on=False,
        scope=scope,
        name=name,
        reason=reason,
        by=_who(),
        was_on=was_on,
    )
    if not was_on:
        console().print(f"it was not on: {_what(scope, name)}")
        raise typer.Exit(1)
    console().print(f"kill switch [bold green]off[/]: {_what(scope, name)}")


@kill.command(name="status")
def kill_status(as_json: AsJson = False) -> None:
    """Every switch that is on. Exit code 1 when there is one."""
    with opened().ledger.read() as unit:
        switches = unit.switches.on()
    if as_json:
        print_json([as_record(switch) for switch in switches])
    elif switches:
        rows = [
            (each.scope, escape(each.name), escape(each.reason), each.set_by, iso(each.set_at))
            for each in switches
        ]
        print_table(table(("scope", "name", "reason", "by", "since"), rows, gives=("reason",)))
    else:
        console().print("no kill switch is on")
    if switches:
        raise typer.Exit(1)


def as_record(switch: KillSwitch) -> dict[str, object]:
    return {
        "scope": switch.scope.value,
        "name": switch.name,
        "reason": switch.reason,
        "set_by": switch.set_by,
        "set_at": iso(switch.set_at),
    }


def trading(state: Annotated[Wanted, typer.Argument(case_sensitive=False)], reason: Reason) -> None:
    """Set the trading state: active trades, reducing only reduces exposure, halted sends nothing new."""
    pipeline = writing()
    wanted = TradingState(state.value.upper())
    with pipeline.ledger.begin(durable=True) as unit:
        before = unit.switches.trading_state(pipeline.account)
        unit.switches.set_trading_state(
            pipeline.account, wanted, by=_who(), reason=reason, at=datetime.now(UTC)
        )
    pipeline.events.emit(EventName.TRADING_STATE, state=wanted, before=before, reason=reason, by=_who())
    console().print(f"trading of {escape(pipeline.account)}: {before} → [bold]{wanted}[/]")


def latches(as_json: AsJson = False) -> None:
    """What stays denied until somebody re-arms it, and the circuit breaker. Exit code 1 when something is
    on.
    """
    book = opened()
    account = settings_of_account().account
    with book.ledger.read() as unit:
        known, breaker = unit.guards.latches(account), unit.guards.breaker(account)
    if as_json:
        print_json({"latches": [_latch(each) for each in known], "breaker": breaker and asdict(breaker)})
    elif known:
        rows = [
            (each.code, "tripped" if each.tripped else "armed", escape(each.reason), each.changed_by,
             iso(each.changed_at)) for each in known
        ]  # fmt: skip
        print_table(table(("latch", "is", "why", "by", "since"), rows, gives=("why",)))
    else:
        console().print("no latch was ever tripped")
    if breaker is not None and not as_json:
        console().print(f"the circuit breaker is open: {escape(breaker.detail)}")
    if breaker is not None or any(each.tripped for each in known):
        raise typer.Exit(1)


def _latch(latch: Latch) -> dict[str, object]:
    return {**asdict(latch), "code": latch.code.value, "changed_at": iso(latch.changed_at)}


def rearm(
    latch: Annotated[str, typer.Argument(help="DAILY_LOSS, DRAWDOWN or LATCHED.")], reason: Reason
) -> None:
    """Take a latch back, so that positions may be opened again. Exit code 1 when it was not tripped."""
    code = CheckCode(choice(latch, [*LATCHES], "latch") or "")
    pipeline = writing()
    with pipeline.ledger.begin(durable=True) as unit:
        done = remembering.rearm(
            unit, pipeline.account, code, by=_who(), reason=reason, now=datetime.now(UTC)
        )
    if not done:
        console().print(f"it was not tripped: {code}")
        raise typer.Exit(1)
    pipeline.events.emit(
        EventName.LATCH, account=pipeline.account, code=code, tripped=False, reason=reason, by=_who()
    )
    console().print(f"latch [bold green]armed[/]: {code}")


def _scope(pipeline: Pipeline, symbol: str | None, strategy: str | None) -> tuple[KillScope, str]:
    """Raises: ConfigError for a strategy that is not enabled; UnknownSymbol."""
    if symbol and strategy:
        raise typer.BadParameter("one switch is for a symbol or for a strategy; set two for both")
    if symbol:
        return KillScope.SYMBOL, pipeline.canonical(symbol)
    if strategy and strategy not in pipeline.settings.strategies.enabled:
        known = ", ".join(pipeline.settings.strategies.enabled)
        raise ConfigError(f"no strategy is called {strategy}; enabled are: {known}", where="--strategy")
    return (KillScope.STRATEGY, strategy) if strategy else (KillScope.GLOBAL, "")


def _what(scope: KillScope, name: str) -> str:
    return "all trading" if scope is KillScope.GLOBAL else f"{scope} {escape(name)}"


def _who() -> str:
    return f"{getpass.getuser()} (command line)"
