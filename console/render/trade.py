"""What was permitted, ordered, filled and held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from console.output import add_row, plain_table
from console.render import values as v
from console.render.values import Record


def permit(trace: Record) -> RenderableType | None:
    found = v.record(trace.get("permit"))
    if not found:
        return None
    terms = v.record(found.get("terms")) or found
    life = (
        f"issued {v.clock(found.get('issued_at'))}, expires {v.clock(found.get('expires_at'))}{_used(found)}"
    )
    reserved = f"reserves {v.money(found.get('reserved'))}"
    return Text.from_markup(
        f"{v.text(found.get('permit_id'))}  [bold]{v.text(found.get('state'))}[/]   {life}\n"
        f"binds {_wanted(terms)}{' reduce-only' if terms.get('reduce_only') else ''} · {reserved}"
    )


def _wanted(order: Record) -> str:
    """`buy 0.5 at 100.2 limit IOC`."""
    size = f"{v.side(order.get('side'))} {v.number(order.get('qty'))} at {v.number(_limit(order))}"
    return f"{size} {v.text(order.get('type'))} {v.text(order.get('tif'))}".rstrip()


def _used(found: Record) -> str:
    return f", used {v.clock(found.get('used_at'))}" if found.get("used_at") else ""


def _limit(terms: Record) -> object:
    return terms.get("limit_price", terms.get("price"))


def orders(trace: Record) -> RenderableType | None:
    """Each attempt with its ids and the steps of its life."""
    found = v.records(trace.get("orders"))
    if not found:
        return None
    return Group(*(Text.from_markup("\n".join(order_lines(order))) for order in found))


def order_lines(order: Record) -> Iterator[str]:
    name = f"{v.text(order.get('leg'))} attempt {v.text(order.get('attempt'))}"
    yield f"{name}  {_wanted(order)}   [bold]{v.text(order.get('state'))}[/]"
    exchange = v.text(order.get("exchange_order_id")) or "none yet"
    yield f"  [dim]client order id[/] {v.text(order.get('client_order_id'))}  [dim]exchange id[/] {exchange}"
    price = v.number(order.get("avg_price")) or "-"
    yield f"  [dim]filled[/] {v.number(order.get('filled_qty'))} [dim]at[/] {price}{_fee(order)}"
    steps = v.records(order.get("steps"))
    if steps:
        yield f"  {_life(steps)}"
    if order.get("detail"):
        yield f"  {v.first_line(order.get('detail'), 96)}"


def _fee(record: Record) -> str:
    fee = v.number(record.get("fee"))
    return f" [dim]fee[/] {fee} {v.text(record.get('fee_asset'))}" if fee not in {"", "0"} else ""


def _life(steps: Sequence[Record]) -> str:
    """`INTENT → SENDING 10:15:00.123 → FILLED 10:15:00.140`."""
    first = v.text(steps[0].get("from"))
    later = [f"{v.text(step.get('to'))} [dim]{v.clock(step.get('at'))}[/]" for step in steps]
    return " → ".join([first, *later] if first else later)


def fills(trace: Record) -> RenderableType | None:
    found = v.records(trace.get("fills"))
    if not found:
        return None
    right = ("qty", "price", "fee", "slippage")
    table = plain_table("at", "side", "qty", "price", "fee", "slippage", "trade", right=right)
    for fill in found:
        add_row(
            table,
            v.clock(fill.get("occurred_at")),
            v.side(fill.get("side")),
            v.number(fill.get("qty")),
            v.number(fill.get("price")),
            f"{v.number(fill.get('fee'))} {v.text(fill.get('fee_asset'))}",
            f"{v.money(fill.get('slippage_bps'))} bps" if fill.get("slippage_bps") is not None else "",
            v.text(fill.get("trade_id")),
        )
    return table


def position(trace: Record) -> RenderableType | None:
    found = trace.get("position")
    held = [v.record(found)] if v.record(found) else list(v.records(found))
    return Text.from_markup("\n".join(position_line(each) for each in held)) if held else None


def position_line(held: Record) -> str:
    state = "closed" if held.get("closed_at") else "open"
    what = f"{v.direction(held.get('side'))} {v.number(held.get('qty'))} {v.text(held.get('symbol'))}"
    money = f"realised {v.money(held.get('realised_pnl'))} · fees {v.money(held.get('fees'), 4)}"
    money += "".join(f" · {name} {v.price(held[name])}" for name in ("stop", "target") if held.get(name))
    if held.get("closed_by"):
        money += f" · closed by {v.text(held.get('closed_by'))}"
    return (
        f"{v.text(held.get('position_id'))}  {what} at {v.price(held.get('entry_price'))}  "
        f"[bold]{state}[/] · {money}"
    )


def exits(trace: Record) -> RenderableType | None:
    """The exits of the position: which decision, why, what became of it."""
    found = v.records(trace.get("exits"))
    return Text.from_markup("\n".join(map(exit_line, found))) if found else None


def exit_line(exit_: Record) -> str:
    return (
        f"{v.text(exit_.get('decision_id'))}  [bold]{v.text(exit_.get('origin'))}[/]  "
        f"{v.outcome(exit_.get('outcome'))} {v.first_line(exit_.get('detail'), 60)}"
    )
