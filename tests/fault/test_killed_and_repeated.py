"""Workers killed, messages repeated, Redis emptied: no decision without an outcome, no order twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from pipeline.domain import ids
from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.execution.crashpoints import CrashPoint
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.clients import trusted_client
from tests.support.waiting import eventually

SLOW_S = 2.0
BOOK = "/fapi/v1/ticker/bookTicker"
ORDER = "/fapi/v1/order"


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    """One chain for this file; what a test breaks, it mends. Each test has a symbol of its own."""
    symbols = "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,ADAUSDT,DOGEUSDT,BNBUSDT,LINKUSDT,AVAXUSDT"
    with chain_processes(UNIVERSE_SYMBOLS=symbols, STRATEGIES_ENABLED="always_buys") as chain:
        chain.start_workers()
        yield chain


def audit(chain: ChainProcesses, decision_id: DecisionId) -> None:
    """One accepted order at most for each attempt, and the ledger's filled quantity is the exchange's."""
    with chain.pipeline.ledger.read() as unit:
        orders = unit.orders.of(decision_id)
        fills = unit.fills.of(decision_id)
    accepted = [entry["client_order_id"] for entry in chain.placed()]
    for order in orders:
        assert accepted.count(order.client_order_id) <= 1
        told = sum(fill.qty for fill in fills if fill.client_order_id == order.client_order_id)
        assert told == order.filled_qty
    assert len({order.client_order_id for order in orders} & set(accepted)) <= 1


@pytest.mark.parametrize(
    ("symbol", "worker", "path", "fault", "outcome"),
    [
        ("BTCUSDT", "market", "/fapi/v1/klines", {"kind": "latency", "seconds": SLOW_S}, Outcome.EXECUTED),
        ("ETHUSDT", "orders", BOOK, {"kind": "latency", "seconds": SLOW_S}, Outcome.EXECUTED),
        ("SOLUSDT", "orders", ORDER, {"kind": "timeout_after"}, Outcome.EXECUTED),
        ("LINKUSDT", "orders", ORDER, {"kind": "timeout_before"}, Outcome.FAILED),
    ],
    ids=["fetch", "validate", "execute, order accepted", "execute, order lost"],
)
def test_a_child_killed_in_a_stage_costs_time_but_no_decision(
    chain: ChainProcesses, symbol: str, worker: str, path: str, fault: dict[str, Any], outcome: Outcome
) -> None:
    """The message comes back; what was sent is asked about, never sent again: it was accepted, or it never was."""
    chain.let_quotes_age()
    chain.fault(**fault, endpoint=path, symbol=symbol, count=1)
    decision_id = chain.enqueue(symbol)
    eventually(lambda: _reached(chain, path, symbol), 15, f"{worker} to ask for {path}")
    chain.child_of(worker).kill()
    chain.wait_with_upkeep(lambda: not chain.decision(decision_id).is_open, 40, "the decision to end")
    assert chain.decision(decision_id).outcome is outcome
    audit(chain, decision_id)


def _reached(chain: ChainProcesses, path: str, symbol: str) -> bool:
    """Whether a request is being held up there: faults are in the journal before the answer is."""
    return any(
        entry["kind"] == "fault" and entry.get("path") == path and entry.get("symbol") == symbol
        for entry in chain.simulator.journal()
    )


def test_a_child_killed_while_it_evaluates_is_replaced_and_the_decision_goes_on(tmp_path: Path) -> None:
    """The strategy waits for a file, so that the kill hits it in the middle."""
    told = {
        "STRATEGIES_ENABLED": "waits_for_file",
        "STRATEGIES_PARAMS": json.dumps({"waits_for_file": {"folder": str(tmp_path)}}),
        "STRATEGIES_TIME_LIMIT_S": "15",  # it waits for us
    }
    with chain_processes(**told) as chain:
        chain.start_workers()
        decision_id = chain.enqueue("BTCUSDT")
        eventually((tmp_path / "waiting").exists, 15, "the strategy to wait")
        chain.child_of("market").kill()
        (tmp_path / "go").touch()
        decision = chain.ended(decision_id, timeout=30)
        assert decision.outcome is Outcome.EXECUTED
        assert chain.trace(decision_id)["stages"][1]["attempt"] == 2
        audit(chain, decision_id)


def test_a_worker_killed_behind_its_hand_off_is_no_attack(tmp_path: Path) -> None:
    """The order is handed on a second time while nobody is free to take the first: people look for whoever means harm
    when they are told so.
    """
    (tmp_path / CrashPoint.HANDED_ON).write_text("KILL 1", encoding="ascii")
    with (
        chain_processes(STRATEGIES_ENABLED="always_buys") as chain,
        redis.Redis.from_url(chain.redis.url) as client,
    ):
        chain.launch_worker("market")
        chain.launch_worker("judge", "validate", env={"THROUGHLINE_CRASH_PLAN": str(tmp_path)})
        chain.await_workers("market", "judge")
        decision_id = chain.enqueue("BTCUSDT")
        eventually(lambda: client.llen("execute") == 2, 30, f"both hand-offs; {chain.tail()}")
        chain.start_worker("executor", "execute")
        decision = chain.ended(decision_id)
        eventually(
            lambda: any('"execute"' in line for line in _repeats(chain, decision)), 20, "the second one"
        )
        assert decision.outcome is Outcome.EXECUTED
        assert [line for line in chain.log_lines() if '"SECURITY"' in line] == []
        audit(chain, decision_id)


def test_a_message_that_keeps_killing_its_worker_ends_its_decision_as_failed() -> None:
    """Redelivery has no limit of its own: after a few deaths the ledger says stop, and the worker lives."""
    with chain_processes(STRATEGIES_ENABLED="kills_its_worker") as chain:
        chain.start_workers()
        decision = chain.ended(chain.enqueue("BTCUSDT"), timeout=60)
        assert (decision.outcome, decision.reason) == (Outcome.FAILED, EndReason.KEEPS_DYING)
        assert chain.child_of("market").is_running()


@pytest.mark.parametrize("stage", list(Stage))
def test_every_message_may_come_twice(chain: ChainProcesses, stage: Stage) -> None:
    """After a cut connection Celery repeats messages in normal operation."""
    symbol = {"fetch": "XRPUSDT", "evaluate": "ADAUSDT", "validate": "DOGEUSDT", "execute": "BNBUSDT"}[
        stage.value
    ]
    decision = chain.ended(chain.enqueue(symbol))
    lines = len(_repeats(chain, decision))
    with trusted_client("repeater", chain.redis.url, chain.home) as celery:
        for _ in range(3):
            celery.send_task(
                f"tasks.{stage.value}",
                args=[decision.symbol],
                task_id=ids.task_id(decision.decision_id, stage),
                headers=dict(decision.headers()),
                queue=stage.value,
            )
    eventually(lambda: len(_repeats(chain, decision)) >= lines + 3, 60, "three repeats to be noticed")
    assert chain.decision(decision.decision_id) == decision
    audit(chain, decision.decision_id)


def _repeats(chain: ChainProcesses, decision: Decision) -> list[str]:
    return [line for line in chain.log_lines() if decision.decision_id in line and '"STAGE_REPEATED"' in line]


@pytest.mark.parametrize("attempt", [1, 2, 3] if os.environ.get("TEST_LONG") else [2])
def test_redis_emptied_in_mid_flight_costs_time_but_no_decision(attempt: int) -> None:
    """Rule 1: the ledger is the record, the broker is transport. Every decision ends, and none orders twice."""
    symbols = "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,ADAUSDT,DOGEUSDT,BNBUSDT,LINKUSDT,AVAXUSDT,DOTUSDT"
    settings = {"CHAIN_CADENCE_S": "4", "CHAIN_SOFT_TIME_LIMIT_S": "5", "CHAIN_DEADLINE_S": "15"}
    with chain_processes(UNIVERSE_SYMBOLS=symbols, STRATEGIES_ENABLED="always_buys", **settings) as chain:
        chain.start_workers()
        chain.start_beat()
        eventually(lambda: sum(chain.counts().values()) >= attempt * 2, 20, "decisions in flight")
        chain.redis.flush()
        after_flush = sum(chain.counts().values())
        eventually(
            lambda: sum(chain.counts().values()) >= after_flush + 10, 30, "the chain to go on by itself"
        )
        eventually(lambda: chain.counts().get("executed", 0) >= 5, 40, "orders after the flush")
        chain.processes["beat"].stop()
        chain.wait_with_upkeep(lambda: chain.counts().get("open", 0) == 0, 40, "every decision to end")
        with chain.pipeline.ledger.read() as unit:
            decisions = unit.decisions.latest(limit=1000)
        assert all(each.outcome is not None and each.reason is not None for each in decisions)
        for each in decisions:
            audit(chain, each.decision_id)
