"""This process's pipeline: built once, after the fork, and never shared with another process."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from billiard import current_process
from billiard.exceptions import SoftTimeLimitExceeded
from celery.app.task import Context

from config.home import ensure_home
from config.loading import load
from config.settings import Settings
from pipeline.bootstrap import Pipeline, build
from pipeline.domain.decisions import Stage
from pipeline.execution import crashpoints
from pipeline.trace import context, logs, sentry
from tasks import headers

_built: dict[int, Pipeline] = {}


def services() -> Pipeline:
    """The pipeline of this process. Raises: ConfigError."""
    pid = os.getpid()
    if pid not in _built:
        settings = load()
        crashpoints.arm(os.environ.get(crashpoints.VARIABLE, ""), settings.mode)
        _built[pid] = build(settings, role=component(), overrun_errors=(SoftTimeLimitExceeded,))
    return _built[pid]


def configure_logging() -> None:
    """Point Celery's and our own records at this process's log files."""
    settings = services().settings
    ensure_home(settings.home)
    logs.configure(component(), settings)
    _start_sentry(settings)


def _start_sentry(settings: Settings) -> None:
    if not settings.sentry.dsn.get_secret_value():
        return
    from sentry_sdk.integrations.celery import CeleryIntegration  # noqa: PLC0415 - nobody pays who does not use it

    sentry.start(settings, component(), integrations=[CeleryIntegration()])
    atexit.register(sentry.stop)


def component() -> str:
    """The role that this process plays, as its log file is named: `worker-orders`, `beat`, `flower`."""
    role = next((word for word in sys.argv[1:] if word in ("worker", "beat", "flower", "feed")), "tasks")
    name = next((word.partition("@")[0] for word in sys.argv if word.endswith("@%h")), "")
    return f"{role}-{name}" if name else role


def is_pool_child() -> bool:
    """Whether this process does a worker's tasks. A solo pool does them in the worker's own."""
    return bool(current_process().name != "MainProcess")


@contextmanager
def decision_scope(request: Context, stage: Stage) -> Iterator[None]:
    """Everything logged or reported inside carries the decision of this message."""
    told = {name: headers.read(request, name) or "" for name in headers.NAMES}
    with (
        context.bound(**told, stage=stage.value, task_id=request.id),
        sentry.decision_scope(told["decision_id"], symbol=told["symbol"], stage=stage.value),
    ):
        yield
