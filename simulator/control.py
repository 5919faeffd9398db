"""The simulator's own interface under /_sim/: health, clock, journal, faults, accounts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote

import orjson
from aiohttp import web

from simulator.account import Account
from simulator.clock import iso, parse_iso
from simulator.errors import ApiError
from simulator.faults import COMMON, KINDS, BadFault
from simulator.journal import plain
from simulator.params import Params
from simulator.world import World

Body = dict[str, object]
CLOCK_FIELDS = ("speed", "now", "advance_s")
ACCOUNT_FIELDS = ("api_key", "api_secret", "balance", "can_withdraw")
TRANSFER_FIELDS = ("api_key", "amount")
MOST_MONEY = Decimal(10) ** 15


class BadControl(Exception):
    """A control request that makes no sense; the text says what would."""


async def handle(raw: web.BaseRequest, world: World) -> web.Response:
    """Answer a request under /_sim/."""
    path, _, query = raw.raw_path.partition("?")
    params = Params.parse(query)
    try:
        body = await read_body(raw)
        answer = dispatch(world, raw.method, path.removeprefix("/_sim/").strip("/"), params, body)
    except (BadControl, BadFault, ValueError) as error:
        return respond({"error": str(error)}, 400)
    except ApiError as error:
        return respond({"error": error.msg}, 400)
    return respond(answer) if answer is not None else respond({"error": f"no such path {path}"}, 404)


def respond(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


async def read_body(raw: web.BaseRequest) -> Body:
    if not raw.can_read_body:
        return {}
    data = await raw.read()
    if not data:
        return {}
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadControl(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadControl("the body must be a JSON object")
    return body


def dispatch(world: World, method: str, name: str, params: Params, body: Body) -> object | None:
    """The answer, or None when there is no such path."""
    if name.startswith("accounts/"):
        return show_account(world, unquote(name.removeprefix("accounts/")))
    action = ACTIONS.get((method, name))
    return None if action is None else action(world, params, body)


def health(world: World, _params: Params, _body: Body) -> object:
    return {
        "ok": True,
        "now": iso(world.clock.now_ms()),
        "speed": world.clock.speed,
        "symbols": list(world.market.instruments),
        "accounts": len(world.engine.accounts),
        "journal_seq": world.journal.seq,
        "faults": len(world.faults.listed()),
    }


def show_clock(world: World, _params: Params, _body: Body) -> object:
    now_ms = world.clock.now_ms()
    return {"now": iso(now_ms), "now_ms": now_ms, "speed": world.clock.speed}


def set_clock(world: World, params: Params, body: Body) -> object:
    """`speed`, `now` (ISO time or milliseconds) or `advance_s`; orders have followed when it answers."""
    refuse_unknown(body, CLOCK_FIELDS)
    if "speed" in body:
        world.clock.set_speed(as_number(body, "speed"))
    if "now" in body:
        now = body["now"]
        world.clock.set_now(parse_iso(now) if isinstance(now, str) else int(as_number(body, "now")))
    if "advance_s" in body:
        world.clock.advance(as_number(body, "advance_s"))
    world.sweeper.advance(world.clock.now_ms())
    world.sweeper.liquidate(world.clock.now_ms())
    world.journal.event("clock", dict(body))
    world.engine.state.clock()
    return show_clock(world, params, body)


def read_journal(world: World, params: Params, _body: Body) -> object:
    return world.journal.read(
        params.whole_within("since", 0, 0, 2**53),
        params.whole_within("limit", 1_000_000, 1, 10_000_000),
        params.get("kind") or "",
        (params.get("symbol") or "").upper().removesuffix(":USDT").replace("/", ""),
    )


def show_faults(world: World, _params: Params, _body: Body) -> object:
    return {"faults": world.faults.listed(), "kinds": fault_table()}


def fault_table() -> list[Body]:
    """Every kind with its meaning, where it strikes unless told otherwise, and its own fields."""
    return [
        {
            "kind": name,
            "meaning": kind.meaning,
            "endpoint": kind.endpoint,
            "method": kind.method,
            "fields": [*COMMON, *kind.args],
            "defaults": dict(kind.args),
        }
        for name, kind in KINDS.items()
    ]


def add_fault(world: World, _params: Params, body: Body) -> object:
    fault = world.faults.add(body).as_dict()
    world.journal.event("fault_set", {"fault": fault["kind"], "fault_id": fault["id"], "settings": fault})
    return fault


def clear_faults(world: World, params: Params, _body: Body) -> object:
    """All of them, or the one with `?id=`."""
    gone = world.faults.clear(params.whole("id"))
    world.journal.event("fault_cleared", {"count": gone})
    return {"cleared": gone}


def list_accounts(world: World, _params: Params, _body: Body) -> object:
    return list(world.engine.accounts)


def add_account(world: World, _params: Params, body: Body) -> object:
    refuse_unknown(body, ACCOUNT_FIELDS)
    key, secret = body.get("api_key"), body.get("api_secret")
    if not (isinstance(key, str) and key and isinstance(secret, str) and secret):
        raise BadControl("api_key and api_secret must be texts that are not empty")
    balance = as_amount(body.get("balance", "10000"), "balance")
    can_withdraw = body.get("can_withdraw") is True
    world.engine.open_account(key, secret, balance, world.clock.now_ms(), can_withdraw=can_withdraw)
    world.journal.event("account_opened", {"account": key, "balance": plain(balance)})
    return show_account(world, key)


def transfer(world: World, _params: Params, body: Body) -> object:
    """Move USDT into an account, or with a negative amount out of it."""
    refuse_unknown(body, TRANSFER_FIELDS)
    account = world.engine.accounts.get(str(body.get("api_key", world.options.api_key)))
    if account is None:
        raise BadControl("there is no account with this api_key")
    amount = as_amount(body.get("amount"), "amount", least=-MOST_MONEY)
    now_ms = world.clock.now_ms()
    world.sweeper.advance(now_ms)
    world.engine.transfer(account, amount, now_ms)
    return show_account(world, account.api_key)


def show_account(world: World, api_key: str) -> object | None:
    """Balance, positions and counts, for audits. None when there is no such account."""
    account = world.engine.accounts.get(api_key)
    if account is None:
        return None
    now_ms = world.clock.now_ms()
    world.sweeper.advance(now_ms)
    margin = world.engine.margin(account, now_ms)
    orders = account.orders
    return {
        "api_key": api_key,
        "deposited": plain(account.deposited),
        "wallet_balance": plain(margin.wallet),
        "unrealised_pnl": plain(margin.unrealised),
        "margin_balance": plain(margin.balance),
        "available_balance": plain(margin.available),
        "fees": plain(sum((trade.fee for trade in orders.trades), Decimal(0))),
        "realised_pnl": plain(sum((trade.realised for trade in orders.trades), Decimal(0))),
        "funding": plain(
            sum((each.amount for each in account.incomes if each.kind == "FUNDING_FEE"), Decimal(0))
        ),
        "positions": held(world, account, now_ms),
        "orders": len(orders.by_id),
        "open_orders": [str(order_id) for order_id in orders.open],
        "open_algo_orders": [str(algo_id) for algo_id in orders.open_algos],
        "trades": len(orders.trades),
    }


def held(world: World, account: Account, now_ms: int) -> list[Body]:
    return [
        {
            "symbol": symbol,
            "qty": plain(position.qty),
            "entry_price": plain(position.entry_price),
            "mark_price": plain(world.market.last(symbol, now_ms)),
            "leverage": account.leverage(symbol),
        }
        for symbol, position in account.positions.items()
        if position.qty
    ]


def forget_limits(world: World, _params: Params, _body: Body) -> object:
    world.limits.forget()
    return {"ok": True}


def reseed(world: World, _params: Params, body: Body) -> object:
    """`seed`: the dice of faults start anew, so that a rehearsal can be repeated from here."""
    refuse_unknown(body, ("seed",))
    seed = int(as_number(body, "seed")) if "seed" in body else world.options.seed
    world.faults.reseed(seed)
    world.journal.event("dice", {"seed": seed})
    return {"seed": seed}


def refuse_unknown(body: Body, known: tuple[str, ...]) -> None:
    unknown = [name for name in body if name not in known]
    if unknown:
        raise BadControl(f"unknown field '{unknown[0]}'; there are: {', '.join(known)}")


def as_number(body: Body, name: str) -> float:
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadControl(f"{name} must be a number, got {value!r}")
    return float(value)


def as_amount(value: object, name: str, least: Decimal = Decimal(0)) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not least <= amount <= MOST_MONEY:
        raise BadControl(f"{name} must be an amount of USDT from {least:f}, got {value!r}")
    return amount


ACTIONS: dict[tuple[str, str], Callable[[World, Params, Body], object]] = {
    ("GET", "health"): health,
    ("GET", "clock"): show_clock,
    ("POST", "clock"): set_clock,
    ("GET", "journal"): read_journal,
    ("GET", "faults"): show_faults,
    ("POST", "faults"): add_fault,
    ("DELETE", "faults"): clear_faults,
    ("GET", "accounts"): list_accounts,
    ("POST", "accounts"): add_account,
    ("POST", "transfers"): transfer,
    ("DELETE", "limits"): forget_limits,
    ("POST", "dice"): reseed,
}
