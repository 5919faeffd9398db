"""Two accounts that share Redis, ledger and keys, by mistake or in somebody's interest: none trades for the other."""

from __future__ import annotations

from datetime import timedelta

from config.loading import load
from pipeline.bootstrap import build
from pipeline.domain.outcomes import Outcome
from tests.support.chain import chain_processes
from tests.support.waiting import eventually

OTHER = {"THROUGHLINE_EXCHANGE_ACCOUNT": "other"}


def test_a_permit_of_one_account_is_not_executed_by_anothers_worker() -> None:
    """It is named there, and waits in the ledger for a worker of its own, which the sweeper finds."""
    with chain_processes(STRATEGIES_ENABLED="always_buys") as chain:
        chain.launch_worker("judges", "fetch,evaluate,validate")
        chain.launch_worker("strangers", "execute", env=OTHER)
        chain.await_workers("judges", "strangers")
        decision_id = chain.enqueue("BTCUSDT")
        refusal = (
            f"{decision_id} is of account {chain.pipeline.account}, and this process works for paper-other"
        )
        eventually(lambda: any(refusal in line for line in chain.log_lines()), 40, f"it; {chain.tail()}")
        assert chain.placed() == []
        with chain.pipeline.ledger.read() as unit:
            assert unit.orders.of(decision_id) == []
        chain.processes["strangers"].stop()
        chain.start_worker("ours", "execute,upkeep")
        chain.wait_with_upkeep(lambda: not chain.decision(decision_id).is_open, 40, "its own worker")
        assert chain.decision(decision_id).outcome is Outcome.EXECUTED


def test_a_process_of_another_account_ends_nothing_of_ours() -> None:
    """Not by sweeping either, whatever it reads in the ledger that both have."""
    quick = {
        "CHAIN_CADENCE_S": "1",
        "CHAIN_SOFT_TIME_LIMIT_S": "3",
        "CHAIN_HARD_TIME_LIMIT_S": "4",
        "STRATEGIES_TIME_LIMIT_S": "1",
    }
    with chain_processes(**quick) as chain:
        decision_id = chain.enqueue("BTCUSDT")
        decision, clock = chain.decision(decision_id), chain.pipeline.clock
        lost_at = decision.expires_at + timedelta(seconds=chain.pipeline.settings.chain.soft_time_limit_s)
        others = build(load(env={**chain.env, **OTHER}))
        eventually(lambda: clock.now() > lost_at, 20, "it to be late")
        assert others.sweeper(lambda *_: None).sweep() == {"open": 0, "resumed": 0, "closed": 0}
        others.ledger.close()
        assert chain.decision(decision_id).is_open
        assert chain.pipeline.sweeper(lambda *_: None).sweep()["closed"] == 1
