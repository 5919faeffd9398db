"""The pulse of each Celery process: beat, a worker, each child of its pool.

A worker beats from its event loop: a thread in a process that forks could leave a lock behind in the child, and a loop
that hangs shall be seen. Beat and the pool's children have a thread, which also sees where their main thread hangs.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

from celery import bootsteps
from celery.app.task import Task
from celery.signals import (
    beat_init,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)
from celery.worker import state
from celery.worker.consumer.consumer import Consumer

from pipeline.domain.events import EventName
from pipeline.domain.liveness import ProcessState
from pipeline.oversight import beating_of
from pipeline.watch.beating import Beating
from pipeline.watch.vitals import Identity
from tasks.headers import read
from tasks.services import component, is_pool_child, services

TASK = "task"
LOOP = "event loop"
SCHEDULE = "schedule"

_beating: dict[int, Beating] = {}
_held: dict[str, set[str]] = {}


def beating() -> Beating | None:
    """This process's; None when it has none."""
    return _beating.get(os.getpid())


def begin(identity: Identity, **options: Any) -> Beating:
    """This process's, made when it is first asked for."""
    pid = os.getpid()
    if pid not in _beating:
        _beating[pid] = beating_of(services(), identity, **options)
    return _beating[pid]


def identity(*, parent: int = 0, queues: Iterable[str] = ()) -> Identity:
    here = services()
    return Identity(
        role=component(),
        account=here.account,
        config_hash=here.config_hash,
        parent=parent,
        queues=tuple(queues),
    )


# ------------------------------------------------------------------------------------------------- a worker


class PulseStep(bootsteps.StartStopStep):
    """A worker's pulse, from its event loop. With a solo pool there is a thread already: nothing forks there."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Consumer, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entry: Any = None

    def start(self, parent: Consumer) -> None:
        """Called at each connection to the broker."""
        queues = sorted(parent.app.amqp.queues.consume_from)
        own = begin(identity(queues=queues), children=lambda: _children(parent))
        every_s, limit_s = own.rhythm.every_s, services().settings.watch.hung_after_s

        def beat() -> None:
            own.vitals.touch(LOOP, limit_s)
            own.beat()

        beat()
        self._entry = parent.timer.call_repeatedly(every_s, beat)

    def stop(self, parent: Consumer) -> None:
        """At the end, and when the connection is lost."""
        if self._entry is not None:
            self._entry.cancel()
        own = beating()
        if own is not None and _held:
            own.say(ProcessState.STOPPING, _in_flight())


def _children(parent: Consumer) -> Collection[int]:
    pool = getattr(parent.pool, "_pool", None)
    return [process.pid for process in getattr(pool, "_pool", None) or () if process.pid]


@worker_shutting_down.connect
def note_in_flight(**_: object) -> None:
    """Runs in the middle of anything, as signal handlers do: it only notes."""
    running = {request.id for request in tuple(state.active_requests)}
    _held["running"] = running
    _held["waiting"] = {request.id for request in tuple(state.reserved_requests)} - running


def _in_flight() -> str:
    return f"{len(_held['running'])} tasks are running, {len(_held['waiting'])} go back to their queues"


@worker_shutdown.connect
def say_goodbye(**_: object) -> None:
    """What the worker did with what it held."""
    running, waiting = _held.get("running", set()), _held.get("waiting", set())
    cut_off = running & {request.id for request in tuple(state.active_requests)}
    services().events.emit(
        EventName.PROCESS_END,
        role=component(),
        finished=sorted(running - cut_off),
        handed_back=sorted(cut_off | waiting),
    )
    own = beating()
    if own is not None:
        done, back = len(running - cut_off), len(cut_off | waiting)
        own.stop(f"finished {done} tasks, handed {back} back")


# --------------------------------------------------------------------------------------------- a pool child


@worker_process_init.connect
def begin_child(**_: object) -> None:
    parent = os.getppid() if is_pool_child() else 0
    begin(identity(parent=parent), minds_the_watchdog=True).start()


@worker_process_shutdown.connect
def end_child(**_: object) -> None:
    own = beating()
    if own is not None and is_pool_child():
        own.stop()


@task_prerun.connect
def begin_task(task: Task | None = None, **_: object) -> None:
    own = beating()
    if own is not None and task is not None:
        doing = f"{task.name.removeprefix('tasks.')} {read(task.request, 'decision_id') or ''}".strip()
        own.vitals.begin(TASK, doing, services().settings.watch.hung_after_s)


@task_postrun.connect
def end_task(**_: object) -> None:
    own = beating()
    if own is not None:
        own.vitals.end(TASK)


# ------------------------------------------------------------------------------------------------------ beat


@beat_init.connect
def begin_beat(**_: object) -> None:
    begin(identity(), minds_the_watchdog=True).start()


def tick() -> None:
    """Called by the scheduler each time it has looked at its plan."""
    own = beating()
    if own is not None:
        own.vitals.touch(SCHEDULE, services().settings.watch.hung_after_s)


def end_beat() -> None:
    """Beat closes its scheduler more than once."""
    own = _beating.pop(os.getpid(), None)
    if own is not None:
        services().events.emit(EventName.PROCESS_END, role=component())
        own.stop("sends nothing any more")
