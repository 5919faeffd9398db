"""When "not found" may be believed. Pure.

An exchange can call a live order unknown for more than ten seconds, and can execute a request that was
inside its gate long after its window has closed. So absence is believed late, after several misses, and
only from every side at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pipeline.domain.orders import Order, OrderReport
from pipeline.execution.options import ExecutionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the other places say, once asked: the lists of orders, trades nobody accounts for, the
    position.
    """

    listed: OrderReport | None
    stray_trades: int
    held: Decimal
    expected: Decimal


@dataclass(frozen=True, slots=True)
class Answers:
    """What the exchange says about one order. `proof` is None while it has not been asked for."""

    found: OrderReport | None
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """The exchange knows it: write down what it says."""

    report: OrderReport


@dataclass(frozen=True, slots=True)
class Wait:
    """Its exposure stays reserved and its symbol blocked; ask again. `stuck` when waiting alone will not
    help.
    """

    why: str
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """It never reached the book, and now it cannot any more; or it was there, and has ended without a trade."""

    proof: str


def judge(order: Order, answers: Answers, now: datetime, options: ExecutionOptions) -> Settle | Wait | Absent:
    """What is known of an order that was sent, from what the exchange has answered so far."""
    if answers.found is not None:
        return Settle(answers.found)
    early = too_early(order, now, options)
    if early:
        return Wait(early)
    return _weigh(order, answers.proof) if answers.proof else Wait("the other places have not been asked yet")


def too_early(order: Order, now: datetime, options: ExecutionOptions) -> str:
    """Why absence cannot be believed yet; empty once it is worth asking everywhere else."""
    if order.sent_at is None or order.first_miss_at is None or order.last_miss_at is None:
        return "it has not been missed yet"
    quiet_until = order.sent_at + options.receive_window + options.margin
    if now < quiet_until or order.last_miss_at < quiet_until:
        return f"it may still arrive until {quiet_until:%H:%M:%S}"
    spread = order.last_miss_at - order.first_miss_at
    if order.misses < options.not_placed_misses or spread < options.margin / 2:
        return f"missed {order.misses} times within {spread.total_seconds():.0f} s, which is not enough"
    return ""


def _weigh(order: Order, proof: Proof) -> Settle | Wait | Absent:
    if proof.listed is not None:
        return Settle(proof.listed)
    if proof.stray_trades:
        return Wait(f"{proof.stray_trades} trades on {order.symbol} belong to no order we know", stuck=True)
    if proof.held != proof.expected:
        return Wait(
            f"the exchange holds {proof.held} {order.symbol}, the ledger {proof.expected}", stuck=True
        )
    return Absent(
        f"missed {order.misses} times; absent from open orders, history and trades; "
        f"position unchanged at {proof.held}"
    )
