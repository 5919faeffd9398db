"""`throughline watch`: the watchdog, a process of its own."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

import typer

from config.home import ensure_home
from config.loading import load
from console.records import pipeline_of
from pipeline.domain.events import EventName
from pipeline.trace import logs
from pipeline.watch.beating import Beating
from pipeline.watch.vitals import Identity

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

COMPONENT = "watch"
ROUNDS = "rounds"


def watch() -> None:
    """Watch everything and tell somebody: levels, queues, alerts. Depends neither on beat nor on a worker."""
    settings = load()
    pipeline = pipeline_of(settings)
    ensure_home(settings.home)
    logs.configure(COMPONENT, settings)
    stop = _asked_to_stop()
    beating = _beating(pipeline)
    beating.start()
    _watch(
        pipeline, beating, stop
    )  # whatever it raises ends the process without a last word: others miss it then
    pipeline.events.emit(EventName.PROCESS_END, role=COMPONENT)
    beating.stop("nobody watches any more")


def _watch(pipeline: Pipeline, beating: Beating, stop: threading.Event) -> None:
    from pipeline.oversight import watchdog_of  # noqa: PLC0415  with it comes the exchange's library, which takes a while

    told, watchdog = pipeline.settings.watch, watchdog_of(pipeline)
    pipeline.events.emit(
        EventName.PROCESS_START, role=COMPONENT, config_hash=pipeline.config_hash, account=pipeline.account
    )
    typer.echo(f"watching {pipeline.account} every {told.look_every_s:g} s; Ctrl-C stops")
    while not stop.is_set():
        beating.vitals.touch(ROUNDS, told.hung_after_s + told.look_every_s)
        watchdog.round()
        stop.wait(told.look_every_s)
    watchdog.end()


def _asked_to_stop() -> threading.Event:
    stop = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop


def _beating(pipeline: Pipeline) -> Beating:
    from pipeline.oversight import beating_of  # noqa: PLC0415  with it comes the exchange's library, which takes a while

    return beating_of(
        pipeline, Identity(role=COMPONENT, account=pipeline.account, config_hash=pipeline.config_hash)
    )
