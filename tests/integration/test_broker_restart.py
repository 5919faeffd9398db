"""Redis killed and started again while decisions flow: the chain goes on by itself, and loses and doubles nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest

from pipeline.domain.decisions import Decision
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.timeframes import SystemClock
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("broker")

SYMBOLS = [
    "BTC",
    "ETH",
    "SOL",
    "XRP",
    "ADA",
    "DOGE",
    "BNB",
    "LINK",
    "AVAX",
    "DOT",
    "LTC",
    "NEAR",
    "APT",
    "ARB",
    "SUI",
]
SETTINGS = {
    "CHAIN_CADENCE_S": "3",
    "CHAIN_DEADLINE_S": "12",
    "CHAIN_RESUME_AFTER_S": "2",
    "CHAIN_SOFT_TIME_LIMIT_S": "6",
    "CHAIN_HARD_TIME_LIMIT_S": "8",
    "CHAIN_VISIBILITY_TIMEOUT_S": "20",
}


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    symbols = ",".join(f"{symbol}USDT" for symbol in SYMBOLS)
    with chain_processes(UNIVERSE_SYMBOLS=symbols, STRATEGIES_ENABLED="always_buys", **SETTINGS) as chain:
        chain.start_workers()
        chain.start_beat()
        yield chain


def decisions(chain: ChainProcesses, since: datetime | None = None) -> list[Decision]:
    with chain.pipeline.ledger.read() as unit:
        return list(unit.decisions.latest(limit=2000, since=since))


def reached_the_end(found: list[Decision]) -> int:
    """How many went through validation: both workers took part in them."""
    return sum(decision.outcome in {Outcome.EXECUTED, Outcome.BLOCKED} for decision in found)


def test_the_chain_goes_on_after_redis_was_killed(chain: ChainProcesses) -> None:
    """Messages in flight, hand-offs and acknowledgements all hit the outage; nobody has to restart anything."""
    eventually(lambda: reached_the_end(decisions(chain)) >= 2, 30, "decisions in flight")
    chain.redis.kill()
    eventually(lambda: refused(chain) >= 5, 30, "beat to find Redis gone")
    chain.redis.start()
    back_at = SystemClock().now()
    eventually(lambda: reached_the_end(decisions(chain, back_at)) >= 5, 60, "both workers to be back")
    chain.processes["beat"].stop()
    chain.wait_with_upkeep(lambda: not chain.counts().get("open"), 60, "every decision to end")
    assert_each_has_its_outcome(decisions(chain))
    assert_no_order_is_doubled(chain)


def refused(chain: ChainProcesses) -> int:
    """How many passes could not be published: each has said so in the ledger."""
    return sum(decision.reason is EndReason.PUBLISH_FAILED for decision in decisions(chain))


def assert_each_has_its_outcome(found: list[Decision]) -> None:
    assert all(decision.outcome and decision.reason for decision in found)
    slots = Counter((decision.symbol, decision.slot) for decision in found)
    assert set(slots.values()) == {1}


def assert_no_order_is_doubled(chain: ChainProcesses) -> None:
    """The exchange accepted exactly the orders that the ledger has, one for a decision at most."""
    accepted = [entry["client_order_id"] for entry in chain.placed()]
    with chain.pipeline.ledger.read() as unit:
        orders = {order.client_order_id: order for order in unit.orders.latest(limit=1000)}
    assert len(accepted) == len(set(accepted))
    assert set(accepted) <= set(orders)
    by_decision = Counter(orders[client_order_id].decision_id for client_order_id in accepted)
    assert by_decision
    assert set(by_decision.values()) == {1}
