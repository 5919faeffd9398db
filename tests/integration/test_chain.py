"""The whole chain on real processes: from an enqueued message to a filled order, and every way it ends early."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from celery import Celery

from pipeline.domain.decisions import Origin, Stage
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import EndReason, Outcome
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.clients import trusted_client
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    """One chain for this file: each test uses a symbol of its own."""
    symbols = "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,ADAUSDT,DOGEUSDT,BNBUSDT"
    with chain_processes(UNIVERSE_SYMBOLS=symbols, STRATEGIES_ENABLED="always_buys") as chain:
        chain.start_workers()
        yield chain


@pytest.fixture
def celery_client(chain: ChainProcesses) -> Iterator[Celery]:
    """A program that knows nothing but Celery, the broker's address and the key of its messages."""
    with trusted_client("somebody-else", chain.redis.url, chain.home) as client:
        yield client


def test_an_executed_decision_is_one_story_from_candle_to_fill(chain: ChainProcesses) -> None:
    """A8: four stages on at least two processes, checks, permit, order, fill, position; all under one id."""
    decision = chain.ended(chain.enqueue("BTCUSDT"))
    trace = chain.trace(decision.decision_id)
    assert (trace["outcome"], trace["reason"], trace["mode"]) == ("executed", "FILLED", "paper")
    assert [stage["stage"] for stage in trace["stages"]] == [stage.value for stage in Stage]
    assert len({stage["pid"] for stage in trace["stages"]}) >= 2
    assert all(stage["task_id"].startswith(decision.decision_id) for stage in trace["stages"])
    assert all(check["ok"] for check in trace["checks"])
    assert len(trace["checks"]) >= 10
    assert trace["permit"]["state"] == "used"
    (order,) = trace["orders"]
    (fill,) = trace["fills"]
    assert fill["qty"] == order["filled_qty"] == trace["position"]["qty"]


def test_the_exchange_saw_exactly_the_orders_that_the_ledger_has(chain: ChainProcesses) -> None:
    """E3: the journal and the ledger name the same orders and no others."""
    chain.ended(chain.enqueue("ETHUSDT"))
    with chain.pipeline.ledger.read() as unit:
        ours = {order.client_order_id for order in unit.orders.latest(limit=100)}
    placed = [entry["client_order_id"] for entry in chain.placed()]
    assert sorted(placed) == sorted(ours)


@pytest.mark.parametrize("kind", ["exchange_order_id", "client_order_id", "position_id"])
def test_a_trace_is_found_by_every_id_of_its_story(chain: ChainProcesses, kind: str) -> None:
    """A8: an operator has whatever id the exchange's page shows."""
    decision = chain.ended(chain.enqueue("SOLUSDT"))
    with chain.pipeline.ledger.read() as unit:
        order = next(each for each in unit.orders.latest(symbol=decision.symbol) if not each.leg.guards)
    story = chain.trace(order.decision_id)
    ids = {**story["orders"][0], **story["position"]}
    assert chain.trace(ids[kind])["decision_id"] == order.decision_id


def test_a_second_signal_the_same_way_adds_nothing_and_says_so(chain: ChainProcesses) -> None:
    chain.ended(chain.enqueue("XRPUSDT"))
    again = chain.ended(chain.enqueue("XRPUSDT"))
    assert (again.outcome, again.reason) == (Outcome.SKIPPED, EndReason.POSITION_HELD)
    placed = [entry for entry in chain.placed() if entry["symbol"] == "XRPUSDT"]
    assert [entry["reduce_only"] for entry in placed] == [False, True, True]  # an entry, its stop, its target


def test_grep_for_the_id_tells_the_story_in_order(chain: ChainProcesses) -> None:
    """A9: the combined log has every step of the decision, with its id, in every process."""
    decision = chain.ended(chain.enqueue("ADAUSDT"))
    steps = [
        "DATA_FETCH",
        "STRATEGY_CHECK",
        "SIGNAL_GENERATED",
        "SIGNAL_VALIDATED",
        "ORDER_CONTEXT",
        "ORDER_PLACED",
    ]
    steps += ["BUY_FILLED", "POSITION_OPENED", "DECISION_END"]
    lines = eventually(lambda: _lines(chain, decision.decision_id, "DECISION_END"), what="the last line")
    own = [json.loads(line) for line in lines]
    told = [each["event"] for each in own if each["decision_id"] == decision.decision_id]
    assert [event for event in told if event in steps] == steps


def _lines(chain: ChainProcesses, decision_id: str, wanted: str) -> list[str]:
    lines = [line for line in chain.log_lines() if decision_id in line]
    return lines if any(wanted in line for line in lines) else []


def test_a_bare_call_through_celery_gets_its_decision_there(
    chain: ChainProcesses, celery_client: Celery
) -> None:
    """A7: `celery call tasks.fetch` without headers takes the same path and the same checks."""
    celery_client.send_task("tasks.fetch", args=["DOGEUSDT"], queue="fetch")
    (found,) = eventually(lambda: _decisions(chain, "DOGE/USDT:USDT"), what="a decision of the bare call")
    decision = chain.ended(found)
    assert (decision.origin, decision.outcome) == (Origin.CALL, Outcome.EXECUTED)


def test_a_bare_call_for_a_symbol_that_does_not_exist_ends_with_its_name(
    chain: ChainProcesses, celery_client: Celery
) -> None:
    celery_client.send_task("tasks.fetch", args=["DOGEUSD"], queue="fetch")
    (found,) = eventually(lambda: _decisions(chain, "DOGEUSD"), what="a decision of the bare call")
    decision = chain.ended(found)
    assert decision.reason is EndReason.SYMBOL_NOT_TRADED
    assert "DOGE/USDT:USDT" in decision.detail


def _decisions(chain: ChainProcesses, symbol: str) -> list[DecisionId]:
    with chain.pipeline.ledger.read() as unit:
        return [decision.decision_id for decision in unit.decisions.latest(symbol=symbol)]


@pytest.mark.parametrize("task", ["tasks.evaluate", "tasks.validate", "tasks.execute"])
def test_a_stage_called_by_hand_without_a_decision_does_nothing(
    chain: ChainProcesses, celery_client: Celery, task: str
) -> None:
    """D2: execution has no other entrance."""
    before, placed = chain.counts(), chain.placed()
    celery_client.send_task(
        task, args=["BTCUSDT"], task_id=f"by-hand-{task}", queue=task.removeprefix("tasks.")
    )
    eventually(lambda: [line for line in chain.log_lines() if f"by-hand-{task}" in line], what="its refusal")
    assert chain.counts() == before
    assert chain.placed() == placed


def test_a_symbol_outside_the_universe_is_skipped_by_name(chain: ChainProcesses) -> None:
    """I5: fifty symbols of which the policy allowed none must be named at the first pass."""
    decision = chain.ended(chain.enqueue("LINKUSDT"))
    assert decision.reason is EndReason.OUTSIDE_UNIVERSE
    assert "LINK/USDT:USDT" in decision.detail


def test_a_dry_run_is_judged_and_sends_nothing(chain: ChainProcesses) -> None:
    before = chain.placed()
    told = chain.run("enqueue", "BNBUSDT", "--dry-run", "--wait", "--json", code=None).output()
    assert "DRY_RUN" in told
    assert chain.placed() == before


def test_every_decision_has_exactly_one_outcome(chain: ChainProcesses) -> None:
    """A5, over everything that the tests of this file enqueued."""
    with chain.pipeline.ledger.read() as unit:
        decisions = unit.decisions.latest(limit=500)
    assert all((decision.outcome is None) == decision.is_open for decision in decisions)
