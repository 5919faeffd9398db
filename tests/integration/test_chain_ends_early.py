"""A chain stops where there is nothing left to do, and trouble outside is an outcome that names it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.intents import Leg
from pipeline.domain.outcomes import EndReason, Outcome
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    with chain_processes(STRATEGIES_ENABLED="never_trades") as chain:
        chain.start_workers()
        yield chain


def test_a_decision_without_signal_ends_after_two_stages_with_its_nearest_miss(chain: ChainProcesses) -> None:
    """A6 and C3: nothing travels on, and the ledger says which condition failed by how much."""
    decision = chain.ended(chain.enqueue("BTCUSDT"))
    trace = chain.trace(decision.decision_id)
    assert decision.outcome is Outcome.NO_SIGNAL
    assert [stage["stage"] for stage in trace["stages"]] == ["fetch", "evaluate"]
    (verdict,) = trace["verdicts"]
    assert verdict["nearest_miss"]["condition"] == "close below"
    assert trace["orders"] == []


def test_an_exchange_that_does_not_answer_is_named_with_each_timeframe(chain: ChainProcesses) -> None:
    """B4: `1m=missing 5m=missing 15m=missing` and the error behind it."""
    chain.fault("reset_before", endpoint="/fapi/v1/klines")
    decision = chain.ended(chain.enqueue("ETHUSDT"))
    chain.heal()
    assert decision.reason is EndReason.INSUFFICIENT_DATA
    assert "1m=missing 5m=missing 15m=missing" in decision.detail


def test_one_symbol_that_is_refused_does_not_stop_another(chain: ChainProcesses) -> None:
    chain.fault("reset_before", endpoint="/fapi/v1/klines", symbol="SOLUSDT")
    refused, served = chain.enqueue("SOLUSDT"), chain.enqueue("XRPUSDT")
    outcomes = chain.ended(refused).outcome, chain.ended(served).outcome
    chain.heal()
    assert outcomes == (Outcome.SKIPPED, Outcome.NO_SIGNAL)


def test_a_message_that_no_worker_starts_in_time_expires_and_says_so() -> None:
    """A1: it vanishes from Celery without a word; the ledger has it all the same."""
    with chain_processes(CHAIN_CADENCE_S="1", CHAIN_SOFT_TIME_LIMIT_S="2") as chain:
        decision_id = chain.enqueue("BTCUSDT")
        chain.start_worker("orders")
        chain.start_beat()
        decision = chain.ended(decision_id, timeout=30)
        assert decision.reason is EndReason.NOT_STARTED


def test_a_wrong_api_key_blocks_every_order_and_says_why() -> None:
    """D3: without equity nothing can be sized or permitted; the reason is in the decision, the cause in the log."""
    with chain_processes(
        STRATEGIES_ENABLED="always_buys", GOVERNOR_EQUITY_MAX_AGE_S="0.6", CHAIN_EQUITY_EVERY_S="0.5"
    ) as chain:
        wrong = {"THROUGHLINE_EXCHANGE_API_KEY": "nobody", "THROUGHLINE_EXCHANGE_API_SECRET": "nothing"}
        chain.start_worker("market", env=wrong)
        chain.start_worker("orders", env=wrong)
        decision = chain.ended(chain.enqueue("BTCUSDT"))
        assert (decision.outcome, decision.reason) == (Outcome.BLOCKED, CheckCode.EQUITY_STALE)
        assert chain.placed() == []


def test_the_chain_works_on_postgresql_as_it_does_on_sqlite(postgres_url: str) -> None:
    """E6: the same code, the same story, for several hosts."""
    with chain_processes(ledger_url=postgres_url, STRATEGIES_ENABLED="always_buys") as chain:
        chain.start_workers()
        decision = chain.ended(chain.enqueue("BTCUSDT"))
        assert decision.outcome is Outcome.EXECUTED
        with chain.pipeline.ledger.read() as unit:
            orders = {order.client_order_id: order.leg for order in unit.orders.latest()}
        placed = [entry["client_order_id"] for entry in chain.placed()]
        assert sorted(placed) == sorted(orders)
        assert [orders[each] for each in placed] == [Leg.ENTRY, Leg.STOP, Leg.TARGET]


def test_two_beats_open_each_slot_once() -> None:
    """A1: a second beat on another host doubles nothing, and no decision stays without an outcome."""
    judging_always = {"CHAIN_SKIP_UNCHANGED": "false"}
    with chain_processes(CHAIN_CADENCE_S="1", CHAIN_DEADLINE_S="5", **judging_always) as chain:
        chain.start_workers()
        chain.start_beat()
        chain.start("beat-2", "", "beat", "--pidfile=")
        eventually(lambda: chain.counts().get("no_signal", 0) >= 20, 40, "twenty decisions from two beats")
        chain.processes["beat"].stop()
        chain.processes["beat-2"].stop()
        eventually(lambda: chain.counts().get("open", 0) == 0, 20, "every decision to end")
        with chain.pipeline.ledger.read() as unit:
            passes = [(each.symbol, each.slot) for each in unit.decisions.latest(limit=1000)]
        assert len(passes) == len(set(passes))
