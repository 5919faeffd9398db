"""Redis killed and started again while decisions flow: the chain goes on by itself, and loses and doubles nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.domain.decisions import Decision
from pipeline.domain.intents import Leg
from pipeline.domain.outcomes import EndReason
from pipeline.domain.timeframes import SystemClock
from tasks.consuming import REFUSED_PAUSE_S
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.waiting import eventually
from tests.support.ways import DECISION
from tests.support.ways_worker import WaysWorker

SYMBOLS = (
    "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,ADAUSDT,DOGEUSDT,BNBUSDT,LINKUSDT,AVAXUSDT,DOTUSDT,LTCUSDT,NEARUSDT"
)
SETTINGS = {
    "CHAIN_CADENCE_S": "3",
    "CHAIN_DEADLINE_S": "12",
    "CHAIN_RESUME_AFTER_S": "2",
    "CHAIN_SOFT_TIME_LIMIT_S": "6",
    "CHAIN_HARD_TIME_LIMIT_S": "8",
    "CHAIN_VISIBILITY_TIMEOUT_S": "20",
}
NEVER_RUN = {EndReason.PUBLISH_FAILED, EndReason.OVERLAP, EndReason.NOT_STARTED}
"""How a decision ends that no worker has seen."""


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    with chain_processes(UNIVERSE_SYMBOLS=SYMBOLS, STRATEGIES_ENABLED="always_buys", **SETTINGS) as chain:
        chain.start_workers()
        chain.start_beat()
        yield chain


@pytest.fixture
def worker() -> Iterator[WaysWorker]:
    """For this test alone: nothing has been published by its processes."""
    worker = WaysWorker()
    yield worker
    worker.stop()


def decisions(chain: ChainProcesses, since: datetime | None = None) -> list[Decision]:
    with chain.pipeline.ledger.read() as unit:
        return list(unit.decisions.latest(limit=2000, since=since))


def both_workers_are_back(chain: ChainProcesses, since: datetime) -> bool:
    """One has run decisions that were opened since then, the other has asked for the equity since then."""
    with chain.pipeline.ledger.read() as unit:
        equity = unit.equity.latest(chain.pipeline.account)
    run = [each for each in decisions(chain, since) if each.outcome and each.reason not in NEVER_RUN]
    return len(run) >= 5 and equity is not None and equity.recorded_at > since


def test_the_chain_goes_on_after_redis_was_killed(chain: ChainProcesses) -> None:
    """Messages in flight, hand-offs and acknowledgements all hit the outage; nobody has to restart anything."""
    eventually(lambda: chain.counts().get("executed", 0) >= 2, 30, "decisions in flight")
    chain.redis.kill()
    eventually(lambda: refused(chain) >= 5, 30, "beat to find Redis gone")
    chain.redis.start()
    back_at = SystemClock().now()
    eventually(lambda: both_workers_are_back(chain, back_at), 60, "both workers to be back")
    chain.processes["beat"].stop()
    chain.wait_with_upkeep(lambda: not chain.counts().get("open"), 60, "every decision to end")
    assert_each_has_its_outcome(decisions(chain))
    assert_no_order_is_doubled(chain)
    assert_each_position_has_its_guards_once(chain)


def restart_while_a_task_runs(worker: WaysWorker, folder: Path, *, hands_on: bool) -> None:
    """The task goes on when Redis has gone away, and Redis is back at once."""
    worker.stranger.send_task("ways.waits", args=[str(folder), hands_on], queue="upkeep")
    eventually((folder / "ready").exists, 20, "the task to be ready")
    worker.redis.kill()
    (folder / "go").touch()
    eventually((folder / "gone").exists, what="the task to go on")
    worker.redis.start()


def test_a_hand_off_while_redis_is_away_is_made_when_it_is_back(worker: WaysWorker, tmp_path: Path) -> None:
    """Also a process's first one to its queue. Celery's own patience of 0.6 s lost it, and kombu's declaring too."""
    restart_while_a_task_runs(worker, tmp_path, hands_on=True)
    (message,) = eventually(lambda: worker.queued("execute"), 20, "the message")
    assert DECISION.decision_id.encode() in message


def test_a_worker_that_could_not_acknowledge_goes_on_when_redis_is_back(
    worker: WaysWorker, tmp_path: Path
) -> None:
    """It may hold one message at a time; one that it cannot give back must not be the last that it ever had."""
    restart_while_a_task_runs(worker, tmp_path, hands_on=False)
    worker.stranger.send_task("ways.seen", args=["after"], queue="upkeep")
    worker.seen("after")


def test_no_message_is_lost_when_the_connections_of_a_busy_worker_are_cut(
    worker: WaysWorker, tmp_path: Path
) -> None:
    """It finds out with the next message that it takes: that one is in no queue any more."""
    worker.stranger.send_task("ways.waits", args=[str(tmp_path), False], queue="upkeep")
    eventually((tmp_path / "ready").exists, 20, "the task to be ready")
    worker.client.client_kill_filter(_type="normal", skipme=True)
    (tmp_path / "go").touch()
    for way in ("first", "second", "third"):
        worker.stranger.send_task("ways.seen", args=[way], queue="upkeep")
        worker.seen(way)


def test_a_worker_waits_for_a_redis_that_refuses_without_hurry(worker: WaysWorker) -> None:
    """A failover makes its Redis a replica for a while: it answers, and hands out nothing."""
    worker.stranger.send_task("ways.seen", args=["before"], queue="upkeep")
    worker.seen("before")
    worker.client.slaveof("127.0.0.1", 1)
    eventually(lambda: len(refusals(worker)) >= 3, 30, "three tries")
    worker.client.slaveof()
    worker.stranger.send_task("ways.seen", args=["after"], queue="upkeep")
    worker.seen("after")
    tries = refusals(worker)
    assert (tries[-1] - tries[0]).total_seconds() >= (len(tries) - 1) * REFUSED_PAUSE_S


def refusals(worker: WaysWorker) -> list[datetime]:
    """When the worker told what Redis says."""
    entries = map(json.loads, (worker.home / "logs" / "worker-ways.jsonl").read_text().splitlines())
    said = [entry for entry in entries if "Redis refuses" in str(entry.get("message"))]
    return [datetime.fromisoformat(entry["time"]) for entry in said]


def refused(chain: ChainProcesses) -> int:
    """How many passes could not be published: each has said so in the ledger."""
    return sum(decision.reason is EndReason.PUBLISH_FAILED for decision in decisions(chain))


def assert_each_has_its_outcome(found: list[Decision]) -> None:
    assert all(decision.outcome and decision.reason for decision in found)
    slots = Counter((each.symbol, each.slot) for each in found if not each.origin.is_exit)
    assert set(slots.values()) == {1}


def assert_each_position_has_its_guards_once(chain: ChainProcesses) -> None:
    """An answer lost in the outage makes the protector place another stop: it takes the first one back."""
    chain.pipeline.protector.cycle()
    with chain.pipeline.ledger.read() as unit:
        held = unit.positions.all_open(chain.pipeline.account)
        resting = [each for each in unit.orders.unsettled(chain.pipeline.account) if each.waits]
    assert held
    guards = Counter((each.symbol, each.leg) for each in resting)
    assert guards == {(each.symbol, leg): 1 for each in held for leg in (Leg.STOP, Leg.TARGET)}


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
