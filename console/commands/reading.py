"""`throughline trace`, `decisions`, `orders`, `positions`: what the ledger knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer
from rich.markup import escape

from console.accounts import settings_of_account
from console.commands.options import AsJson, Limit, Symbol, choice, instant
from console.output import console, print_json, print_table, show, table
from console.records import Book, opened
from console.render import values as v
from console.render.trace import render_trace
from console.render.values import Record
from console.spelling import known_symbol
from console.stories import story
from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Mode
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.ports import Unit
from pipeline.trace.records import decision_record, order_record, position_record

AnyMode = Annotated[str | None, typer.Option("--mode", help="paper, testnet or live.")]


def trace(
    wanted: Annotated[
        str, typer.Argument(metavar="ID", help="Of a decision, a task, an order, a permit or a position.")
    ],
    as_json: AsJson = False,
) -> None:
    """The whole story of one decision: stages, verdicts, checks, permit, orders, fills, position."""
    found = story(opened().ledger, wanted)
    if as_json:
        print_json(found)
    else:
        show(render_trace(found))


def decisions(
    *,
    symbol: Symbol = None,
    outcome: Annotated[str | None, typer.Option(help="Only this outcome, or `open`.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    mode: AnyMode = None,
    since: Annotated[str | None, typer.Option(help="10m, 2h, 1d, or a time in ISO 8601.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Decisions, the newest first."""
    book = opened()
    with book.ledger.read() as unit:
        found = unit.decisions.latest(
            symbol=_symbol(unit, book, symbol),
            outcome=choice(outcome, [*Outcome, "open"], "outcome"),
            reason=choice(reason, [*EndReason, *CheckCode], "reason"),
            mode=choice(mode, list(Mode), "mode"),
            since=instant(since),
            limit=limit,
        )
    _show([decision_record(each) for each in found], _DECISIONS, _SPARE_OF_DECISIONS, as_json=as_json)


def orders(
    *,
    symbol: Symbol = None,
    state: Annotated[str | None, typer.Option(help="Only orders in this state.")] = None,
    mode: AnyMode = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Order attempts, the newest first."""
    book = opened()
    with book.ledger.read() as unit:
        found = unit.orders.latest(
            symbol=_symbol(unit, book, symbol),
            state=choice(state, list(OrderState), "state"),
            mode=choice(mode, list(Mode), "mode"),
            limit=limit,
        )
    _show([order_record(each) for each in found], _ORDERS, _SPARE_OF_ORDERS, as_json=as_json)


def positions(
    *,
    symbol: Symbol = None,
    mode: AnyMode = None,
    all_accounts: Annotated[
        bool, typer.Option("--all", help="Earlier runs' paper accounts as well.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Positions of the account, open ones first, then the newest."""
    book = opened()
    account = None if all_accounts else settings_of_account().account
    with book.ledger.read() as unit:
        found = unit.positions.latest(
            account=account,
            symbol=_symbol(unit, book, symbol),
            mode=choice(mode, list(Mode), "mode"),
            limit=limit,
        )
        rows = [position_record(each, unit.orders.of_exits(each.opened_by)) for each in found]
    _show(rows, _POSITIONS, _SPARE_OF_POSITIONS, as_json=as_json)


def _symbol(unit: Unit, book: Book, name: str | None) -> str | None:
    return None if name is None else known_symbol(unit, book.settings, name)


Columns = dict[str, Callable[[Record], str]]
"""A table: each column's name, and its cell as rich markup."""

_DECISIONS: Columns = {
    "enqueued": lambda row: v.lately(row["enqueued_at"]),
    "decision": lambda row: v.text(row["decision_id"]),
    "symbol": lambda row: v.text(row["symbol"]),
    "outcome": lambda row: v.outcome(row["outcome"]),
    "reason": lambda row: v.text(row["reason"]),
    "took": lambda row: v.milliseconds(row["total_ms"]),
    "detail": lambda row: v.first_line(row["detail"], 60),
}
_ORDERS: Columns = {
    "created": lambda row: v.lately(row["created_at"]),
    "client order id": lambda row: v.text(row["client_order_id"]),
    "symbol": lambda row: v.text(row["symbol"]),
    "leg": lambda row: f"{v.text(row['leg'])} {row['attempt']}",
    "side": lambda row: v.side(row["side"]),
    "qty": lambda row: v.number(row["qty"]),
    "price": lambda row: v.number(row["price"]),
    "state": lambda row: v.text(row["state"]),
    "filled": lambda row: v.number(row["filled_qty"]),
    "at": lambda row: v.price(row["avg_price"]) if row["avg_price"] else "",
    "decision": lambda row: v.text(row["decision_id"]),
}
_POSITIONS: Columns = {
    "opened": lambda row: v.lately(row["opened_at"]),
    "position": lambda row: v.text(row["position_id"]),
    "symbol": lambda row: v.text(row["symbol"]),
    "side": lambda row: v.direction(row["side"]),
    "qty": lambda row: v.number(row["qty"]),
    "account": lambda row: v.text(row["account"]),
    "entry": lambda row: v.price(row["entry_price"]),
    "stop": lambda row: v.price(row["stop"]) if row["stop"] else "",
    "target": lambda row: v.price(row["target"]) if row["target"] else "",
    "realised": lambda row: v.money(row["realised_pnl"]),
    "fees": lambda row: v.money(row["fees"], 4),
    "state": lambda row: "open" if row["is_open"] else f"closed {v.lately(row['closed_at'])}",
    "opened by": lambda row: v.text(row["opened_by"]),
}
_SPARE_OF_DECISIONS = ("detail", "took", "enqueued")
_SPARE_OF_ORDERS = ("price", "created", "at", "filled", "leg", "decision")
_SPARE_OF_POSITIONS = ("account", "fees", "stop", "target", "opened by", "opened", "entry")
"""What a narrow terminal does without, the first one first: `trace ID` tells it all, and ids name the slot."""
_RIGHT = ("qty", "price", "filled", "at", "took", "entry", "stop", "target", "realised", "fees")


def _show(rows: Iterable[Record], columns: Columns, spare: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json(list(rows))
        return
    cells = [[cell(row) for cell in columns.values()] for row in rows]
    if not cells:
        console().print(escape("none"))
        return
    print_table(table(tuple(columns), cells, right=_RIGHT, gives=("detail",), spare=spare))
