"""The Celery application. Importing it opens no connection and reads no file; its settings are read at first use."""

from __future__ import annotations

import sys
from typing import Any

from celery import Celery

from config.loading import load
from pipeline.domain.errors import ConfigError
from tasks import signing, transport
from tasks.batching import BatchedAcks, BatchedEvents
from tasks.looping import ForgetsOnce
from tasks.settings import celery_settings

HANDLERS = (
    "tasks.limits",  # the first to hear that a task has run
    "tasks.headers",
    "tasks.lifecycle",
    "tasks.giving_up",
    "tasks.pulsing",
    "tasks.browsing",
)
TASKS = ("tasks.stages", "tasks.upkeep")

transport.install()
app = Celery("throughline", include=[*HANDLERS, *TASKS])


def _settings() -> dict[str, Any]:
    try:
        settings = load()
        signing.use(signing.message_key(settings))
    except ConfigError as error:  # Celery's own commands show a stack trace otherwise
        sys.stderr.write(f"throughline cannot start: {error}\n")
        raise SystemExit(2) from error
    return celery_settings(settings)


app.add_defaults(_settings)
app.steps["worker"].add(ForgetsOnce)
app.steps["worker"].add("tasks.limits:EndsInTime")
app.steps["consumer"].update((BatchedEvents, BatchedAcks))
app.steps["consumer"].add("tasks.pulsing:PulseStep")
