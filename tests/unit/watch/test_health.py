"""Whether a role does its work on its host."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.domain.liveness import Component, ProcessState, Pulse
from pipeline.watch.health import Patience, problems_of, unmet
from pipeline.watch.look import BrokerView, QueueView
from tests.unit.watch.looks import NOW, a_pulse, ago, seconds

PATIENCE = Patience(silent_after=seconds(20), queue_oldest=seconds(20))
WORKER = a_pulse("worker-orders", queues=("execute",), done=4, last_done_at=ago(1))


def broker(waiting_s: float | None = None) -> BrokerView:
    oldest = None if waiting_s is None else ago(waiting_s)
    queue = QueueView(depth=1, oldest_at=oldest, oldest_task="", tasks=frozenset(), whole=True)
    return BrokerView(queues={"execute": queue}, held=frozenset(), persistent=True)


def problems(*pulses: Pulse, role: str = "orders", host: str = "alpha", **waiting: Any) -> list[str]:
    return problems_of(pulses, broker(**waiting), role=role, host=host, at=NOW, patience=PATIENCE)


def test_a_worker_that_finishes_what_comes_is_healthy() -> None:
    assert problems(WORKER, waiting_s=60) == []
    assert problems(WORKER) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"beat_at": ago(60)}, "is silent since 60 s"),
        ({"state": ProcessState.STOPPED}, "has stopped"),
        ({"state": ProcessState.STOPPING}, "is stopping"),
        ({"host": "beta"}, "ever seen on alpha"),
        ({"last_done_at": ago(90)}, "lets a message wait in execute for 60 s"),
    ],
    ids=str,
)
def test_a_live_process_is_not_enough(changes: dict[str, Any], said: str) -> None:
    """Mute after a reconnect, with its process up: whoever restarts it must be told."""
    pulse = a_pulse("worker-orders", **{"queues": ("execute",), "last_done_at": ago(1), **changes})
    [problem] = problems(pulse, waiting_s=60)
    assert said in problem


def test_a_child_that_hangs_makes_its_worker_unhealthy() -> None:
    hangs = Component(name="task", thread="MainThread", since=ago(100), limit_s=25, doing="dec_1.execute")
    child = a_pulse("worker-orders", 8, parent=WORKER.pid, components=(hangs,))
    [problem] = problems(WORKER, child)
    assert "dec_1.execute" in problem


def test_what_a_child_finished_counts_for_its_worker() -> None:
    parent = a_pulse("worker-orders", queues=("execute",), last_done_at=ago(90))
    child = a_pulse("worker-orders", 8, parent=parent.pid, last_done_at=ago(2))
    assert problems(parent, child, waiting_s=60) == []


def test_a_child_of_another_container_is_not_its_own() -> None:
    """Containers of one host count their processes each for itself: two workers may have the same pid."""
    hangs = Component(name="task", thread="MainThread", since=ago(100), limit_s=25, doing="dec_1.fetch")
    assert problems(WORKER, a_pulse("worker-market", 8, parent=WORKER.pid, components=(hangs,))) == []


def test_another_roles_life_proves_nothing() -> None:
    [problem] = problems(a_pulse("beat"))
    assert problem == "no orders was ever seen on alpha"


def test_an_exporter_that_cannot_count_is_not_healthy() -> None:
    """It answers all the same: an answer alone proves a live process."""
    page = "throughline_ledger_up 1.0\nthroughline_broker_up 0.0\n"
    wanted = ("throughline_ledger_up 1.0", "throughline_broker_up 1.0")
    assert unmet("exporter", page, wanted) == ["exporter does not say 'throughline_broker_up 1.0'"]
    assert unmet("exporter", page.replace("0.0", "1.0"), wanted) == []
