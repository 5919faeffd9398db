"""Strategies in real workers: one of the user's own, one that hangs, one that never returns, and bars seen
before.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from pipeline.domain.decisions import Decision
from pipeline.domain.outcomes import EndReason, Outcome
from tests.support.chain import STRATEGIES, ChainProcesses, chain_processes
from tests.support.waiting import eventually

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "strategies.md"
HANGS = """
from pipeline.strategies.interface import NearestMiss, Params, Strategy


class Hangs(Strategy[Params]):
    name = "hangs"
    warm_up = 1

    def indicators(self, candles):
        return {}

    def signal(self, view):
        while True:
            pass
"""
NEVER_RETURNS = (
    HANGS.replace("Hangs", "NeverReturns")
    .replace('"hangs"', '"never_returns"')
    .replace(
        "        while True:\n            pass\n",
        "        import signal, time\n"
        "        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGUSR1})\n"
        "        time.sleep(3600)\n",
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of somebody's own: the guide's example as it stands, one that hangs, one that always
    trades.
    """
    folder = tmp_path_factory.mktemp("mine")
    (folder / "buy_the_dip.py").write_text(GUIDE.read_text().split("```python\n")[1].split("```")[0])
    (folder / "hangs.py").write_text(HANGS)
    (folder / "never_returns.py").write_text(NEVER_RETURNS)
    (folder / "half_done.py").write_text("import no_such_module_anywhere\n")
    shutil.copy(STRATEGIES / "always_buys.py", folder)
    return folder


@pytest.fixture(scope="module")
def chain(folder: Path) -> Iterator[ChainProcesses]:
    told = {
        "STRATEGIES_FOLDER": str(folder),
        "STRATEGIES_ENABLED": "buy_the_dip,hangs,always_buys",
        "STRATEGIES_TIME_LIMIT_S": "1",
    }
    with chain_processes(**told) as chain:
        chain.start_workers()
        yield chain


def test_a_strategy_written_from_the_guide_runs_from_a_folder_of_its_own(chain: ChainProcesses) -> None:
    """C2: one file, no other step; the broken file beside it is named and stops nobody."""
    decision = chain.ended(chain.enqueue("BTCUSDT"))
    own = next(
        each for each in chain.trace(decision.decision_id)["verdicts"] if each["strategy"] == "buy_the_dip"
    )
    assert own["kind"] in ("signal", "no_signal")
    assert own["regime"] in ("trending", "ranging", "volatile")
    assert any("STRATEGY_BROKEN" in line and "half_done.py" in line for line in chain.log_lines("market"))


def test_a_strategy_that_hangs_has_failed_and_the_others_trade(chain: ChainProcesses) -> None:
    """C3: in the same process, again and again: the alarm is taken back each time."""
    for symbol in ("ETHUSDT", "SOLUSDT"):
        decision = chain.ended(chain.enqueue(symbol))
        verdicts = {each["strategy"]: each for each in chain.trace(decision.decision_id)["verdicts"]}
        assert decision.outcome is Outcome.EXECUTED, decision.detail
        assert verdicts["hangs"]["kind"] == "failed"
        assert "time limit of 1 s" in verdicts["hangs"]["error"]
        assert verdicts["always_buys"]["chosen"] is True


def test_a_call_that_never_returns_costs_its_process_and_the_decision_ends(folder: Path) -> None:
    """Compiled code cannot be interrupted: the hard limit ends the process, and with it the decision."""
    told = {
        "STRATEGIES_FOLDER": str(folder),
        "STRATEGIES_ENABLED": "never_returns",
        "STRATEGIES_TIME_LIMIT_S": "0.3",
        "CHAIN_SOFT_TIME_LIMIT_S": "3.5",  # the first run of a child is slow, and must not be ended here
        "CHAIN_HARD_TIME_LIMIT_S": "4",
        "CHAIN_RESUME_AFTER_S": "6",
        "CHAIN_DEADLINE_S": "60",
    }
    with chain_processes(**told) as chain:
        chain.start_workers()
        decision = chain.ended(chain.enqueue("BTCUSDT"), timeout=30)
        assert (decision.outcome, decision.reason) == (Outcome.FAILED, EndReason.TIME_LIMIT)
        assert "hard_time_limit" in decision.detail
        assert chain.placed() == []


def test_beat_judges_the_same_bars_once_also_after_redis_has_lost_everything() -> None:
    """A pass over bars that were judged ends in fetch, naming the decision that did; a flush changes
    nothing.
    """
    with chain_processes(CHAIN_CADENCE_S="1", UNIVERSE_SYMBOLS="BTCUSDT") as chain:
        chain.start_workers()
        chain.start_beat()
        eventually(lambda: len(unchanged(chain)) >= 3, 60, "three passes over bars that were judged already")
        redis.Redis.from_url(chain.redis.url).flushall()
        seen = len(unchanged(chain))
        eventually(lambda: len(unchanged(chain)) >= seen + 3, 60, "three more after the flush")
        chain.processes["beat"].stop()
        for each in unchanged(chain):
            judge = judge_of(chain, each)
            assert judge.reason is EndReason.NO_SIGNAL
            assert judge.enqueued_at < each.enqueued_at
            assert [stage["stage"] for stage in chain.trace(each.decision_id)["stages"]] == ["fetch"]


def unchanged(chain: ChainProcesses) -> list[Decision]:
    with chain.pipeline.ledger.read() as unit:
        return list(unit.decisions.latest(reason=EndReason.UNCHANGED.value, limit=100))


def judge_of(chain: ChainProcesses, decision: Decision) -> Decision:
    with chain.pipeline.ledger.read() as unit:
        judge = unit.find_decision(decision.detail.split(" ", 1)[0])
        found = None if judge is None else unit.decisions.get(judge)
    assert found is not None, decision.detail
    return found
