"""Pulses of real processes, and what they say at their end."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from pipeline.domain.liveness import ProcessState, Pulse
from pipeline.oversight import pulse_store
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.waiting import eventually


def pulses(chain: ChainProcesses) -> list[Pulse]:
    return pulse_store(chain.pipeline).read()


def lines(chain: ChainProcesses, event: str) -> list[dict[str, Any]]:
    return [told for line in chain.log_lines() if (told := json.loads(line))["event"] == event]


def pulse_of_child_at(chain: ChainProcesses, doing: str) -> Pulse | None:
    for pulse in pulses(chain):
        if any(component.doing.startswith(doing) for component in pulse.components):
            return pulse
    return None


def test_a_worker_ends_what_it_works_on_and_says_so(tmp_path: Path) -> None:
    """F3: at the end of a process everybody knows what became of what it held; a stage is never cut in two."""
    params = json.dumps({"waits_for_file": {"folder": str(tmp_path)}})
    with chain_processes(
        STRATEGIES_ENABLED="waits_for_file",
        STRATEGIES_PARAMS=params,
        STRATEGIES_TIME_LIMIT_S="25",  # it waits for us
        CHAIN_SOFT_TIME_LIMIT_S="26",
        CHAIN_HARD_TIME_LIMIT_S="28",
        WATCH_PULSE_EVERY_S="0.3",
    ) as chain:
        worker = chain.start_worker("market")
        decision_id = chain.enqueue()
        eventually((tmp_path / "waiting").exists, 30, "the strategy to wait")
        child = eventually(lambda: pulse_of_child_at(chain, f"evaluate {decision_id}"), 20, "its pulse")
        assert child.parent == worker.pid
        worker.send(signal.SIGTERM)
        eventually(
            lambda: any(pulse.state is ProcessState.STOPPING for pulse in pulses(chain)), 20, "it to stop"
        )
        (tmp_path / "go").touch()
        assert worker.wait(30) == 0
        (end,) = lines(chain, "PROCESS_END")
        assert end["finished"] == [f"{decision_id}.evaluate"]
        assert end["handed_back"] == []
        last = [told for told in lines(chain, "SHUTDOWN_HEARTBEAT") if told["pid"] == worker.pid][-1]
        assert (last["state"], last["note"]) == ("stopped", "finished 1 tasks, handed 0 back")
