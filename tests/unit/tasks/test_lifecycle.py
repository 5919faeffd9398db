"""What a worker does before its first message."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from tasks.lifecycle import close_remote_control
from tasks.policies import ORDER_QUEUES, QUEUES


def is_open(options: dict[str, Any] | None) -> bool:
    conf = Celery("lifecycle-test", set_as_current=False).conf
    close_remote_control(conf=conf, options=options)
    return bool(conf.worker_enable_remote_control)


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("shape", [list, tuple, set, ",".join])
def test_remote_control_is_off_where_orders_are_sent(queue: str, shape: Any) -> None:
    """Whoever can write to Redis could make such a worker stop, or run something else."""
    assert is_open({"queues": shape(["fetch", queue])}) is (queue not in ORDER_QUEUES)


@pytest.mark.parametrize("options", [None, {}, {"queues": None}, {"queues": []}, {"queues": ""}])
def test_a_worker_of_all_queues_has_no_remote_control(options: dict[str, Any] | None) -> None:
    """No queue named means every queue."""
    assert not is_open(options)
