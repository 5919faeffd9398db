"""Celery is told what was measured to work; each of these settings once lost or doubled messages."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pydantic import SecretStr

from config.sections.processes import RedisSettings
from config.settings import Settings
from tasks.policies import POLICIES, QUEUES
from tasks.settings import celery_settings


@pytest.fixture
def told() -> dict[str, Any]:
    return celery_settings(Settings(redis=RedisSettings(url="redis://127.0.0.1:1/0")))


def test_messages_are_json_and_nothing_else_is_accepted(told: dict[str, Any]) -> None:
    """A pickle from whoever can write to Redis would run in the worker."""
    formats = {key: value for key, value in told.items() if key.endswith(("_serializer", "accept_content"))}
    assert formats == {
        "task_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
    }


def test_results_are_not_kept(told: dict[str, Any]) -> None:
    """The ledger is the record."""
    assert told["task_ignore_result"] is True
    assert "result_backend" not in told


def test_a_message_is_done_when_its_stage_is(told: dict[str, Any]) -> None:
    """Early acknowledgement loses what was in the pool of a killed worker."""
    assert told["task_acks_late"] is True
    assert told["task_reject_on_worker_lost"] is True
    assert told["worker_prefetch_multiplier"] == 1


def test_a_hand_off_is_tried_for_about_a_minute(told: dict[str, Any]) -> None:
    """Celery gives up after 0.6 s by default, and the chain does not go on."""
    policy = told["task_publish_retry_policy"]
    waits, wait = [], float(policy["interval_start"])
    for _ in range(policy["max_retries"]):
        waits.append(wait)
        wait = min(wait + policy["interval_step"], policy["interval_max"])
    assert told["task_publish_retry"] is True
    assert 45 <= sum(waits) <= 75


def test_a_worker_that_waits_notices_that_redis_host_is_gone(told: dict[str, Any]) -> None:
    """Behind a firewall that had forgotten its connections a worker waited for ever, and said nothing."""
    options = told["broker_transport_options"]
    assert options["socket_keepalive"] is True
    lost_after_ms = options["socket_keepalive_options"][socket.TCP_USER_TIMEOUT]
    assert lost_after_ms <= 10_000


def test_a_killed_workers_messages_come_back_soon_after_the_visibility_timeout(told: dict[str, Any]) -> None:
    """With kombu's default a timeout of 10 s took 91 s."""
    options = told["broker_transport_options"]
    assert (options["unacked_restore_interval"], options["unacked_restore_throttle"]) == (1, 1)
    assert options["visibility_timeout"] <= 60


def test_a_redis_that_refuses_is_waited_for(told: dict[str, Any]) -> None:
    """Every worker ended within a second of a failover."""
    assert told["broker_channel_error_retry"] is True


def test_no_secret_is_among_them() -> None:
    """A worker tells them to whoever asks, by what it calls them; Flower shows them."""
    key = "signs all messages"
    told = celery_settings(Settings(redis=RedisSettings(message_key=SecretStr(key))))
    assert key not in repr(told)


def test_only_the_queues_of_the_table_exist(told: dict[str, Any]) -> None:
    """A misspelt queue must fail where it is written, not swallow messages."""
    assert [queue.name for queue in told["task_queues"]] == list(QUEUES)
    assert told["task_create_missing_queues"] is False
    assert told["task_routes"] == {name: {"queue": policy.queue} for name, policy in POLICIES.items()}
    assert told["task_default_queue"] in QUEUES


def test_times_are_utc(told: dict[str, Any]) -> None:
    assert (told["enable_utc"], told["timezone"]) == (True, "UTC")


def test_flower_sees_tasks_but_messages_are_not_announced(told: dict[str, Any]) -> None:
    """Announcing each message costs a third of a task."""
    assert (told["worker_send_task_events"], told["task_send_sent_event"]) == (True, False)
