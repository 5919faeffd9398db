"""Celery's settings, each for a reason that was measured: see docs/decisions/0003-celery-settings.md."""

from __future__ import annotations

from typing import Any

from kombu.entity import Queue

from config.settings import Settings
from pipeline import keepalive
from pipeline.watch.broker import held_key
from tasks.policies import POLICIES, QUEUES, UPKEEP_QUEUE
from tasks.turns import first_for_s


def holding(holder: str) -> dict[str, str]:
    """Where kombu keeps what this group of processes has taken and not finished."""
    key = held_key(holder)
    return {
        "unacked_key": key,
        "unacked_index_key": f"{key}:index",
        "unacked_mutex_key": f"{key}:mutex",
    }


def celery_settings(settings: Settings) -> dict[str, Any]:
    """What Celery is told, made from our own settings. No secret of ours: it tells them to whoever asks a worker."""
    return {
        "broker_url": settings.redis_url,
        # The address says it all to kombu; Flower asks for it here.
        **({"broker_use_ssl": settings.redis.tls} if settings.redis.has_tls else {}),
        # Rubbish in a queue is dropped: Celery's own consumer dies of some of it, and the next worker does too.
        "worker_consumer": "tasks.consuming:CarefulConsumer",
        "broker_connection_retry_on_startup": True,
        # A Redis that refuses, as a replica does after a failover, is waited for like one that is away.
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            "visibility_timeout": settings.chain.visibility_timeout_s,
            # Kombu looks for expired deliveries every tenth of these by default: a killed worker's message would
            # come back a minute and a half late.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "queue_order_strategy": "tasks.turns:Turns",
            "first_for_s": first_for_s(settings.governor.permit_ttl_s),
            # One list for each queue: kombu would look into four, and only one of them is counted by anybody.
            "priority_steps": [0],
            **holding("clients"),  # workers have groups of their own: see tasks.lifecycle
            # A worker that waits for messages must notice that Redis' host is gone.
            **keepalive.REDIS,
        },
        # Messages: JSON only, in nobody's pickles; nothing is kept of results, the ledger is the record.
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "event_serializer": "json",
        "task_ignore_result": True,
        "enable_utc": True,
        "timezone": "UTC",
        # Queues: those of the table and no others.
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],  # type: ignore[no-untyped-call]  # kombu has no types
        "task_default_queue": UPKEEP_QUEUE,
        "task_create_missing_queues": False,
        "task_routes": {name: {"queue": policy.queue} for name, policy in POLICIES.items()},
        # Delivery: a message is done when its stage is, and comes back when its worker dies.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_soft_time_limit": settings.chain.soft_time_limit_s,
        "task_time_limit": settings.chain.hard_time_limit_s,
        # Hand-offs: the default gives up after 0.6 s and loses them while Redis restarts.
        "task_publish_retry": True,
        "task_publish_retry_policy": {
            "max_retries": 60,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 1,
        },
        # Flower sees the tasks; the messages' own "sent" events would double the cost and tell nothing new.
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "worker_proc_alive_timeout": 60.0,  # a child loads the exchange's markets before it reports
        "beat_scheduler": "beat_schedule:SlotScheduler",
        "beat_max_loop_interval": 1.0,
    }
