"""What must hold, whatever was killed, frozen or lost: each rule is a function that names what breaks it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from tests.fault.audit.evidence import FINAL, Evidence, Row, client_id_of, market_of
from tests.fault.audit.obstacles import unhindered_spells

LIQUIDATION = "autoclose-"
MAIN = ("entry", "close")
CENT = Decimal("0.00000001")

Rule = Callable[[Evidence], Iterator[str]]


@dataclass(frozen=True)
class Violation:
    """A rule that was broken, and by what."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def violations(evidence: Evidence) -> list[Violation]:
    """Every rule applied to everything."""
    return [Violation(rule.__name__, what) for rule in RULES for what in rule(evidence)]


# ---------------------------------------------------------------------------------------------- sent at most once


def each_order_is_requested_once(on: Evidence) -> Iterator[str]:
    for name, count in on.sent.items():
        if count > 1 and name not in on.foreign:
            yield f"{count} requests to place {name}"


def each_attempt_has_one_order_on_the_exchange(on: Evidence) -> Iterator[str]:
    for name, count in Counter(each["client_order_id"] for each in on.accepted).items():
        if count > 1:
            yield f"{name} was accepted {count} times"


def each_permit_has_one_order_on_the_exchange(on: Evidence) -> Iterator[str]:
    """Further attempts follow only where the one before was refused, or was taken back with nothing filled
    beyond the permit.
    """
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in {each["client_order_id"] for each in on.accepted} & on.order.keys():
        filled[on.order[each]["permit_id"]] += on.executed_qty.get(each, Decimal(0))
    for permit_id, qty in filled.items():
        permitted = on.permit[permit_id]["qty"] if permit_id in on.permit else Decimal(0)
        if qty > permitted:
            yield f"{permit_id} allowed {permitted}, {qty} were filled"


def none_is_without_permit(on: Evidence) -> Iterator[str]:
    for each in on.accepted:
        name = each["client_order_id"]
        if name.startswith(LIQUIDATION):
            continue
        order = on.order.get(name)
        if order is None:
            yield f"the exchange accepted {name}, which the ledger does not know"
        elif problem := _permit_problem(on.permit.get(order["permit_id"]), order):
            yield f"{name}: {problem}"


def _permit_problem(permit: Row | None, order: Row) -> str:
    if permit is None:
        return "its permit does not exist"
    if (permit["decision_id"], permit["leg"]) != (order["decision_id"], order["leg"]):
        return f"its permit is for {permit['leg']} of {permit['decision_id']}"
    if permit["state"] != "used":
        return f"its permit is {permit['state']}"
    if not permit["issued_at"] <= order["sent_at"] < permit["expires_at"]:
        return "it was sent outside the life of its permit"
    return ""


def parameters_are_the_permits(on: Evidence) -> Iterator[str]:
    """What reached the exchange, hashed here anew, is what the governor signed. A resting order may ask for less, at a
    better price.
    """
    requests = {client_id_of(each): each for each in on.accepted if each["params"]}
    for name, entry in requests.items():
        order = on.order.get(name or "")
        if order is None or order["permit_id"] not in on.permit:
            continue  # named by another rule
        permit = on.permit[order["permit_id"]]
        told = terms_hash(within(entry["params"], permit), permit, market_of(order["symbol"]))
        if told != permit["terms_hash"]:
            yield f"{name}: {entry['params']} are not the terms of {permit['permit_id']}"


def within(params: Row, permit: Row) -> Row:
    """The parameters, of an order that rests with the permit's price and quantity where its own are no worse for us:
    it asks at the best price of its own side, and for what attempts before it have left.
    """
    if params.get("timeInForce") != "GTC" or params["type"] != "LIMIT":
        return params
    sign = 1 if params["side"] == "BUY" else -1
    bound, qty = permit["limit_price"], permit["qty"]
    better = (Decimal(params["price"]) - bound) * sign <= 0
    less = 0 < Decimal(params["quantity"]) <= qty
    return {**params, "price": str(bound), "quantity": str(qty)} if better and less else params


def terms_hash(params: Row, permit: Row, market: str) -> str:
    """SHA-256 over the order as the exchange received it; docs/governor.md says how."""
    symbol = permit["symbol"] if params["symbol"] == market else params["symbol"]
    told = params.get("price", params.get("triggerPrice"))
    price = permit["limit_price"] if told is None else Decimal(told)
    tif = params.get("timeInForce", permit["tif"])
    parts = (
        "terms", permit["account"], permit["mode"], permit["decision_id"], permit["leg"], symbol,
        params["side"].lower(), params["type"].lower(), tif, _number(Decimal(params["quantity"])),
        _number(price), params.get("reduceOnly", "false") == "true",
    )  # fmt: skip
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def _number(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


# ------------------------------------------------------------------------------------------------- always resolved


def each_decision_ended_once(on: Evidence) -> Iterator[str]:
    for decision in on.decisions:
        if decision["outcome"] is None or decision["ended_at"] is None:
            yield f"{decision['decision_id']} is still open"


def each_order_is_settled(on: Evidence) -> Iterator[str]:
    for order in on.orders:
        if order["leg"] in MAIN and order["state"] not in FINAL:
            yield f"{order['client_order_id']} of {order['decision_id']} is {order['state']}: {order['detail']}"


def each_permitted_decision_says_what_became_of_it(on: Evidence) -> Iterator[str]:
    """Executed when something was filled, and only then. An exit is done when its order rests on the exchange."""
    accepted = {each["client_order_id"] for each in on.accepted}
    for decision_id in {permit["decision_id"] for permit in on.permits}:
        if on.decision[decision_id]["opener"] is not None:
            yield from _exit_without_order(on, decision_id, accepted)
            continue
        main = [order for order in on.orders_of.get(decision_id, ()) if order["leg"] in MAIN]
        filled = sum(
            (on.executed_qty.get(order["client_order_id"], Decimal(0)) for order in main), Decimal(0)
        )
        decision = on.decision[decision_id]
        if (decision["outcome"] == "executed") != (filled > 0):
            told = f"{decision['outcome']} ({decision['reason']}: {decision['detail'][:200]})"
            yield f"{decision_id} ended as {told}, and {filled} were filled"


def _exit_without_order(on: Evidence, decision_id: str, accepted: set[str]) -> Iterator[str]:
    names = {order["client_order_id"] for order in on.orders_of.get(decision_id, ())}
    executed = on.decision[decision_id]["outcome"] == "executed"
    if executed and not names & accepted:
        yield f"{decision_id} ended as executed, and the exchange never had an order of it"
    if not executed and any(on.executed_qty.get(name, Decimal(0)) > 0 for name in names):
        yield f"{decision_id} ended as {on.decision[decision_id]['outcome']}, and was filled"


def steps_follow_each_other(on: Evidence) -> Iterator[str]:
    at = dict.fromkeys(on.order, "INTENT")
    for step in sorted(on.order_steps, key=lambda row: row["step_id"]):
        name = step["client_order_id"]
        if step["from_state"] != at.get(name):
            yield f"{name} stepped from {step['from_state']}, but was {at.get(name)}"
        at[name] = step["to_state"]
    for name, order in on.order.items():
        if at[name] != order["state"]:
            yield f"{name} is {order['state']}, its last step went to {at[name]}"


def no_live_order_is_called_absent(on: Evidence) -> Iterator[str]:
    for each in on.accepted:
        order = on.order.get(each["client_order_id"])
        if order is not None and order["state"] in {"REJECTED", "NOT_PLACED", "ABANDONED", "INTENT"}:
            yield f"{each['client_order_id']} was accepted, the ledger calls it {order['state']}"


def no_final_order_rests_on_the_exchange(on: Evidence) -> Iterator[str]:
    for each in on.accepted:
        name = each["client_order_id"]
        order = on.order.get(name)
        open_there = "algo_id" not in each and name not in on.gone
        if order is None or not open_there or order["state"] not in FINAL:
            continue
        if on.executed_qty.get(name, Decimal(0)) < Decimal(each["qty"]):
            yield f"{name} is {order['state']} in the ledger and open on the exchange"


# ---------------------------------------------------------------------------------------------- to the last digit


def fills_are_the_exchanges_trades(on: Evidence) -> Iterator[str]:
    ours = {(market_of(fill["symbol"]), str(fill["trade_id"])): fill for fill in on.fills}
    theirs = {(each["symbol"], each["trade_id"]): each for each in on.traded}
    for key in theirs.keys() - ours.keys():
        if not theirs[key]["client_order_id"].startswith(LIQUIDATION):
            yield f"trade {key} of {theirs[key]['client_order_id']} is not in the ledger"
    for key in ours.keys() - theirs.keys():
        yield f"the exchange knows no trade {key} of {ours[key]['client_order_id']}"
    for key in ours.keys() & theirs.keys():
        yield from _unequal(key, ours[key], theirs[key])


def _unequal(key: tuple[str, str], ours: Row, theirs: Row) -> Iterator[str]:
    pairs = {
        "client_order_id": (ours["client_order_id"], theirs["client_order_id"]),
        "side": (ours["side"].upper(), theirs["side"]),
        "qty": (ours["qty"], Decimal(theirs["fill_qty"])),
        "price": (ours["price"], Decimal(theirs["fill_price"])),
        "fee": (ours["fee"], Decimal(theirs["fee"])),
    }
    for name, (mine, told) in pairs.items():
        if mine != told:
            yield f"trade {key}: {name} is {mine} in the ledger and {told} on the exchange"


def orders_hold_their_fills(on: Evidence) -> Iterator[str]:
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in on.traded:
        fees[each["client_order_id"]] += Decimal(each["fee"])
    for name, order in on.order.items():
        if order["state"] not in FINAL:
            continue  # named by another rule
        if order["filled_qty"] != on.executed_qty.get(name, Decimal(0)):
            yield f"{name} filled {order['filled_qty']}, the exchange says {on.executed_qty.get(name, 0)}"
        if order["fee"] != fees.get(name, Decimal(0)):
            yield f"{name} cost {order['fee']}, the exchange says {fees.get(name, 0)}"


def positions_are_the_exchanges(on: Evidence) -> Iterator[str]:
    """Quantity held, fees paid and profit realised on each symbol."""
    theirs: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for each in on.traded:
        signed = Decimal(each["fill_qty"]) * (1 if each["side"] == "BUY" else -1)
        theirs[each["symbol"]] = _added(theirs[each["symbol"]], signed, each["fee"], each["realised_pnl"])
    ours: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for row in on.positions:
        signed = row["qty"] * (1 if row["side"] == "buy" else -1)
        symbol = market_of(row["symbol"])
        ours[symbol] = _added(ours[symbol], signed, row["fees"], row["realised_pnl"])
    trades = Counter(each["symbol"] for each in on.traded)
    for symbol in theirs.keys() | ours.keys():
        mine, told = ours[symbol], theirs[symbol]
        # The exchange rounds what each trade realised to eight places; the ledger does not round.
        if mine[:2] != told[:2] or abs(mine[2] - told[2]) > trades[symbol] * CENT:
            yield f"{symbol}: quantity, fees, profit are {mine} in the ledger and {told} on the exchange"


def _added(sums: list[Decimal], signed: Decimal, fee: object, profit: object) -> list[Decimal]:
    return [sums[0] + signed, sums[1] + Decimal(str(fee)), sums[2] + Decimal(str(profit))]


def no_position_is_long_without_its_stop(on: Evidence) -> Iterator[str]:
    """Whatever was in the way: a cycle after that it is protected, or closed."""
    for spell, seconds in unhindered_spells(on):
        if seconds > on.one_cycle_s:
            yield f"{spell}, {seconds:.2f} s of it with nothing in the way"


RULES: tuple[Rule, ...] = (
    each_order_is_requested_once,
    each_attempt_has_one_order_on_the_exchange,
    each_permit_has_one_order_on_the_exchange,
    none_is_without_permit,
    parameters_are_the_permits,
    each_decision_ended_once,
    each_order_is_settled,
    each_permitted_decision_says_what_became_of_it,
    steps_follow_each_other,
    no_live_order_is_called_absent,
    no_final_order_rests_on_the_exchange,
    fills_are_the_exchanges_trades,
    orders_hold_their_fills,
    positions_are_the_exchanges,
    no_position_is_long_without_its_stop,
)
