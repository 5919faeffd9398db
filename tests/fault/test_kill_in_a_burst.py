"""Somebody pulls the switch while hundreds of decisions are on their way."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Origin
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.orders import Acknowledged, OrderState
from pipeline.domain.permits import OrderTerms
from pipeline.domain.signals import Side
from pipeline.domain.switches import KillSwitch
from pipeline.domain.timeframes import SystemClock, from_iso
from pipeline.execution.attempts import Attempt
from pipeline.execution.booking import Bookkeeper
from pipeline.execution.job import Job, new_order
from pipeline.stages.opening import PassRequest
from simulator.instruments import first_names
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.clients import trusted_client
from tests.support.waiting import eventually

MEASURED = bool(os.environ.get("TEST_LONG"))
"""On a machine that does nothing else the figures of docs/benchmarks-governor.md count as well."""
MANY = 500 if MEASURED else 250
RESTING = 5
WIDE = {
    "UNIVERSE_SYMBOLS": ",".join(first_names(MANY + RESTING)),
    "STRATEGIES_ENABLED": "always_buys",
    "CHAIN_CADENCE_S": "300",
    "CHAIN_DEADLINE_S": "300",
    "GOVERNOR_MAX_POSITIONS": "2000",
    "GOVERNOR_MAX_EXPOSURE_USDT": "100000000",
    "GOVERNOR_MAX_ORDERS_PER_S": "10000",
    "GOVERNOR_MAX_ORDERS_PER_MINUTE": "10000",
    "GOVERNOR_PERMIT_TTL_S": "60",
}


def test_a_kill_during_a_burst_stops_orders_and_cancels_what_is_open() -> None:
    """No entry is sent once the command has said that the switch is on; what rests is cancelled, every decision ends.
    What was filled still gets its stop. Measured: the last entry is accepted within 1 s of the switch, and open entry
    orders are gone within 5 s.
    """
    options = ("--seed", "7", "--symbols", str(MANY + RESTING), "--balance", "10000000")
    with chain_processes(options, **WIDE) as chain:
        symbols = chain.pipeline.universe().symbols
        assert len(symbols) == MANY + RESTING
        resting = [rest(chain, symbol) for symbol in symbols[:RESTING]]
        chain.start_worker("market", concurrency=2)
        chain.start_worker("orders")
        with trusted_client("burst", chain.redis.url, chain.home) as client:
            for symbol in symbols[RESTING:]:
                client.send_task("tasks.fetch", args=[symbol], queue="fetch")
        eventually(lambda: len(chain.placed()) > RESTING, 60, "the burst to place orders")
        chain.run("kill", "on", "--reason", "drill")
        on_since, switched = SystemClock().now(), _switch(chain).set_at
        eventually(lambda: _is_quiet(chain), 60, f"every decision to end; {chain.counts()}")
        accepted = [at(entry) for entry in chain.placed() if not entry["reduce_only"]]
        cancelled = {entry["client_order_id"]: at(entry) for entry in _cancelled(chain)}
        last, gone = (max(accepted) - switched).total_seconds(), [cancelled[each] for each in resting]
        slowest = max((each - switched).total_seconds() for each in gone)
        sys.stdout.write(
            f"{len(accepted)} of {MANY} accepted, last at {last:.3f} s, cancelled by {slowest:.3f} s\n"
        )
        assert _last_entry_sent(chain) < on_since
        assert not MEASURED or (last <= 1.0 and slowest <= 5.0)
        assert len(accepted) < RESTING + MANY
        assert chain.counts().get("blocked", 0) > 0


def _is_quiet(chain: ChainProcesses) -> bool:
    counts = chain.counts()
    return sum(counts.values()) >= MANY + RESTING and counts.get("open", 0) <= RESTING


def _switch(chain: ChainProcesses) -> KillSwitch:
    with chain.pipeline.ledger.read() as unit:
        (switch,) = unit.switches.on()
    return switch


def _last_entry_sent(chain: ChainProcesses) -> datetime:
    with chain.pipeline.ledger.read() as unit:
        orders = unit.orders.latest(limit=10 * MANY)
    return max(each.sent_at for each in orders if each.leg is Leg.ENTRY and each.sent_at is not None)


def _cancelled(chain: ChainProcesses) -> list[dict[str, Any]]:
    return [entry for entry in chain.simulator.journal() if entry["kind"] == "order_canceled"]


def at(entry: dict[str, Any]) -> datetime:
    return from_iso(str(entry["at"]))


def rest(chain: ChainProcesses, symbol: str) -> ClientOrderId:
    """A permitted entry order far below the market, which rests on the exchange."""
    here = chain.pipeline
    instrument, now = here.exchange.instruments().find(symbol), here.clock.now()
    price = instrument.round_price_down(here.exchange.quote(symbol).bid * Decimal("0.95"))
    wanted = Intent(
        symbol=symbol,
        leg=Leg.ENTRY,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.GTC,
        qty=instrument.round_qty_down(Decimal(500) / price),
        limit_price=price,
        reduce_only=False,
        decision_price=price,
        priced_at=now,
        stop_loss=None,
        take_profit=None,
        strategy="always_buys",
        score=Decimal("0.9"),
        reason="rests",
    )
    decision = here.open(PassRequest.manual(symbol, now, Origin.PYTHON)).decision
    terms = OrderTerms.of(wanted, decision.decision_id, decision.account, decision.mode)
    passed = (CheckVerdict(CheckCode.BAD_INPUT, ok=True, value="fine", limit="-"),)
    permit = here.authority.issue(terms, wanted.notional, here.limits, passed)
    intended = new_order(Job(decision, wanted, permit), Attempt(1, wanted.qty, price), now)
    with here.ledger.begin(durable=True) as unit:
        assert unit.permits.add(permit)
        assert unit.permits.use(permit.permit_id, permit.issued_at)
        assert unit.orders.add(intended)
        order = unit.orders.step(intended, OrderState.SENDING, here.clock.now(), fence="drill")
    assert order is not None
    answer = here.exchange.submit(order, permit)
    assert isinstance(answer, Acknowledged), answer
    books = Bookkeeper(here.ledger, here.exchange, here.clock, here.events)
    assert books.settle(order, answer.report).state is OrderState.ACKED
    return order.client_order_id
