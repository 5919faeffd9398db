"""A stage that cannot be stopped, a message that waits too long, a worker that is asked to stop: each has its end."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.domain.outcomes import EndReason, Outcome
from tests.support.chain import WORKERS, ChainProcesses, chain_processes
from tests.support.waiting import eventually

KLINES = "/fapi/v1/klines"
TIMEFRAMES = 3
SETTINGS = {
    "STRATEGIES_TIME_LIMIT_S": "0.9",  # long enough to reach the place where it hangs, also on a busy machine
    "CHAIN_SOFT_TIME_LIMIT_S": "6",
    "CHAIN_HARD_TIME_LIMIT_S": "8",  # far longer than it takes to enqueue something, and to let that expire
    "CHAIN_CADENCE_S": "2",  # a message that waits longer than this expires
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file here makes the strategy hang."""
    return tmp_path_factory.mktemp("overruns")


@pytest.fixture(scope="module")
def chain(folder: Path) -> Iterator[ChainProcesses]:
    """One chain for this file, without beat: nobody sweeps up behind the workers."""
    params = json.dumps({"overruns": {"folder": str(folder)}})
    with chain_processes(STRATEGIES_ENABLED="overruns", STRATEGIES_PARAMS=params, **SETTINGS) as chain:
        chain.start_workers()
        yield chain


def goes_through(chain: ChainProcesses, symbol: str) -> bool:
    """Whether a decision that is enqueued now reaches its end as usual."""
    return chain.ended(chain.enqueue(symbol)).outcome is Outcome.NO_SIGNAL


def test_a_stage_that_cannot_be_interrupted_is_killed_and_what_waited_behind_it_says_so(
    chain: ChainProcesses, folder: Path
) -> None:
    """Celery takes both messages for done, without a word: the one it killed, and the one that expired meanwhile."""
    # The first run of a child is slow: it must not run out of time before it hangs.
    eventually(lambda: goes_through(chain, "ADAUSDT"), 20, "a first run that takes no longer than it may")
    (folder / "hangs").touch()
    hanging = chain.enqueue("ETHUSDT")
    eventually((folder / "hanging").exists, what="the stage to hang")
    waiting = chain.enqueue("SOLUSDT")
    killed, expired = chain.ended(hanging), chain.ended(waiting)
    (folder / "hangs").unlink()
    assert (killed.outcome, killed.reason) == (Outcome.FAILED, EndReason.TIME_LIMIT)
    assert "evaluate" in killed.detail
    assert "8 s" in killed.detail
    assert (expired.outcome, expired.reason) == (Outcome.EXPIRED, EndReason.NOT_STARTED)
    eventually(lambda: goes_through(chain, "ADAUSDT"), 20, "the worker to go on with a new child")


def test_a_worker_that_is_asked_to_stop_finishes_what_it_holds_and_leaves_the_rest(
    chain: ChainProcesses,
) -> None:
    """A deployment costs no decision, and no second look at the exchange."""
    leaving = chain.processes["market"]
    chain.fault("latency", endpoint=KLINES, symbol="XRPUSDT", seconds=1)
    decision_id = chain.enqueue("XRPUSDT")
    eventually(lambda: _asked_for(chain, "XRPUSDT"), what="the fetch to be under way")
    leaving.send(signal.SIGTERM)
    assert leaving.wait() == 0
    assert chain.decision(decision_id).is_open
    chain.start_worker("successor", WORKERS["market"])
    assert chain.ended(decision_id).outcome is Outcome.NO_SIGNAL
    chain.heal()
    stages = chain.trace(decision_id)["stages"]
    ran = [(stage["stage"], stage["worker"].partition("@")[0], stage["attempt"]) for stage in stages]
    assert ran == [("fetch", "market", 1), ("evaluate", "successor", 1)]
    assert len(_asked_for(chain, "XRPUSDT")) == TIMEFRAMES


def _asked_for(chain: ChainProcesses, symbol: str) -> list[dict[str, object]]:
    """The requests for a symbol's bars that were held up."""
    return [
        entry
        for entry in chain.simulator.journal()
        if entry["kind"] == "fault" and entry.get("path") == KLINES and entry.get("symbol") == symbol
    ]
