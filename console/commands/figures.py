"""`throughline metrics` and `throughline report`: how the chain did, and how trading performed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from console import failures
from console.commands.options import AsJson, Symbol, choice, instant
from console.output import console, print_json, print_table, table
from console.records import Book, opened
from console.render import figures as drawn
from console.spelling import known_account, known_symbol
from pipeline.domain.decisions import Mode
from pipeline.domain.timeframes import iso
from pipeline.ledger.statistics import By, Span
from pipeline.watch.bottlenecks import error_groups, slowest_parts
from pipeline.watch.chain_figures import ChainFigures, chain_figures
from pipeline.watch.performance import Group, Performance, performances

Since = Annotated[str, typer.Option(help="10m, 2h, 1d ago, or a time in ISO 8601.")]
Until = Annotated[str | None, typer.Option(help="The same; now when not given.")]
OneMode = Annotated[
    str | None, typer.Option("--mode", help="Only paper, testnet or live; else each by itself.")
]
Account = Annotated[str | None, typer.Option(help="Only this account, as the ledger calls it.")]


def metrics(
    *,
    since: Since = "24h",
    until: Until = None,
    by: Annotated[str, typer.Option(help="stage, component, symbol or host.")] = By.STAGE.value,
    mode: OneMode = None,
    symbol: Symbol = None,
    as_json: AsJson = False,
) -> None:
    """How the chain did: outcomes, success and error rates, latencies by part, strategies, orders."""
    book = opened()
    span = _span(book, (since, until), mode, symbol)
    wanted = By(choice(by, list(By), "part") or By.STAGE)
    with book.ledger.read() as unit:
        found = chain_figures(unit.statistics, span, wanted)
    if as_json:
        print_json({**_span_record(span), "by": wanted.value, "modes": [each.as_record() for each in found]})
        return
    _say_span(span, empty=not found)
    for figures in found:
        _show_chain(figures, wanted)


def report(
    *,
    since: Since = "30d",
    until: Until = None,
    by: Annotated[str, typer.Option(help="all, strategy, symbol or side.")] = Group.ALL.value,
    mode: OneMode = None,
    account: Account = None,
    symbol: Symbol = None,
    as_json: AsJson = False,
) -> None:
    """How trading performed: trades, profit, ratios, drawdown, slippage, fees, by mode and account."""
    book = opened()
    span = _span(book, (since, until), mode, symbol, account)
    group = Group(choice(by, list(Group), "group") or Group.ALL)
    with book.ledger.read() as unit:
        found = performances(unit.statistics, span, group)
        kept = {name: unit.journal.balances(name) for name in dict.fromkeys(each.account for each in found)}
    if as_json:
        books = {name: [each.as_record() for each in balances] for name, balances in kept.items()}
        groups = [each.as_record() for each in found]
        print_json({**_span_record(span), "by": group.value, "groups": groups, "books": books})
        return
    _say_span(span, empty=not found)
    for title, rows in _by_account(found):
        console().print(f"[bold]{escape(title)}[/]")
        print_table(
            table(
                tuple(drawn.PERFORMANCE),
                [drawn.performance(each) for each in rows],
                drawn.RIGHT,
                spare=drawn.SPARE,
            )
        )
    for each in found:
        if each.whole is not None:
            for line in (*drawn.account(each.whole, each.account), *map(drawn.books, kept[each.account])):
                console().print(line, soft_wrap=True)


def bottlenecks(
    *,
    since: Since = "1h",
    until: Until = None,
    mode: OneMode = None,
    symbol: Symbol = None,
    as_json: AsJson = False,
) -> None:
    """Where the time of decisions goes, and what went wrong, grouped by its cause. 1 when something did."""
    book = opened()
    span = _span(book, (since, until), mode, symbol)
    with book.ledger.read() as unit:
        parts, errors = slowest_parts(unit.statistics, span), error_groups(unit.statistics, span)
    if as_json:
        told = {
            "parts": [each.as_record() for each in parts],
            "errors": [each.as_record() for each in errors],
        }
        print_json({**_span_record(span), **told})
    else:
        _say_span(span, empty=not parts and not errors)
        print_table(table(("mode", "part", *drawn.PART), [drawn.part(each) for each in parts], drawn.RIGHT))
        for each in errors:
            console().print(drawn.error_group(each), soft_wrap=True)
    if errors:
        raise typer.Exit(failures.FINDING)


def _by_account(found: list[Performance]) -> Iterator[tuple[str, list[Performance]]]:
    """Paper and live stand in tables of their own."""
    for key in dict.fromkeys((each.mode, each.account) for each in found):
        yield f"{key[0]}, {key[1]}", [each for each in found if (each.mode, each.account) == key]


def _show_chain(figures: ChainFigures, by: By) -> None:
    out = console()
    out.print(f"[bold]{figures.mode}[/]: {drawn.ends(figures.ends)}")
    print_table(table((by.value, *drawn.LATENCY), drawn.latencies(figures), drawn.RIGHT))
    if figures.strategies:
        print_table(
            table(("strategy", *drawn.STRATEGY), drawn.strategies(figures), drawn.RIGHT, spare=("max",))
        )
    if figures.orders:
        out.print("orders: " + ", ".join(f"{state} {many}" for state, many in figures.orders.items()))


def _span(
    book: Book,
    between: tuple[str, str | None],
    mode: str | None,
    symbol: str | None,
    account: str | None = None,
) -> Span:
    """Raises: typer.BadParameter for what there cannot be anything of."""
    chosen = choice(mode, list(Mode), "mode")
    now = datetime.now(UTC)
    start, end = (instant(each) or now for each in between)
    if start >= end:
        raise typer.BadParameter(f"it ends before it begins: from {iso(start)} to {iso(end)}")
    with book.ledger.read() as unit:
        return Span(
            since=start,
            until=end,
            mode=None if chosen is None else Mode(chosen),
            symbol=None if symbol is None else known_symbol(unit, book.settings, symbol),
            account=None if account is None else known_account(unit, book.settings, account),
        )


def _span_record(span: Span) -> dict[str, object]:
    return {"since": iso(span.since), "until": iso(span.until)}


def _say_span(span: Span, *, empty: bool) -> None:
    nothing = ": nothing" if empty else ""
    console().print(f"from {span.since:%Y-%m-%d %H:%M} to {span.until:%Y-%m-%d %H:%M} UTC{nothing}")
