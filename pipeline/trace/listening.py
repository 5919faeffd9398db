"""Callbacks: a user's own functions that are told of each event, without slowing down who emits it.

Each process has one thread for them and a bounded queue; what does not fit is counted, never waited for. A function
that raises is told about once, and is left out after it has raised ten times in a row.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName, Level
from pipeline.trace import context
from pipeline.trace.redaction import hide

WAITING = 1000
RAISES = 10
FAREWELL_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Said:
    """One event as a callback gets it: `fields` with those of its decision; secrets are hidden by name."""

    name: EventName
    level: Level
    at: datetime
    fields: Mapping[str, object]


Callback = Callable[[Said], object]


class Listeners:
    """Tells each of the callbacks what was said, in order, from a thread of its own."""

    def __init__(self, callbacks: Mapping[str, Callback]) -> None:
        self.lost = 0
        self._callbacks = dict(callbacks)
        self._raised = dict.fromkeys(callbacks, 0)
        self._begin_anew()
        os.register_at_fork(after_in_child=self._begin_anew)
        atexit.register(self.drain, FAREWELL_S)

    def _begin_anew(self) -> None:
        """A forked child has neither the thread nor a usable lock."""
        self._queue: queue.Queue[Said] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def tell(self, name: EventName, level: Level, fields: Mapping[str, object]) -> None:
        """Pass an event on, with the decision that it happened in. Never waits, never raises."""
        if not self._callbacks:
            return
        said = heard(name, level, {**context.fields(), **fields})
        if self._thread is None:
            self._start()
        try:
            self._queue.put_nowait(said)
        except queue.Full:
            self.lost += 1

    def drain(self, timeout_s: float) -> None:
        """Wait until everything that was told has been handled, for so long at most."""
        with self._queue.all_tasks_done:
            if self._thread is not None and self._queue.unfinished_tasks:
                self._queue.all_tasks_done.wait_for(lambda: not self._queue.unfinished_tasks, timeout_s)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="callbacks", daemon=True)
                self._thread.start()

    def _listen(self) -> None:
        mine = self._queue
        while True:
            said = mine.get()
            for name in list(self._callbacks):
                self._call(name, said)
            mine.task_done()

    def _call(self, name: str, said: Said) -> None:
        try:
            self._callbacks[name](said)
            self._raised[name] = 0
        except Exception:
            self._raised[name] += 1
            if self._raised[name] == 1:
                log.exception("the callback %s raised on %s; it is told about once", name, said.name)
            if self._raised[name] >= RAISES:
                log.error("the callback %s raised %d times in a row and is left out", name, RAISES)  # noqa: TRY400 - its trace was told
                self._callbacks.pop(name, None)


def heard(name: EventName, level: Level, fields: Mapping[str, object]) -> Said:
    """What a callback gets of an event."""
    shown = hide(dict(fields))
    return Said(name, level, datetime.now(UTC), shown if isinstance(shown, dict) else {})


def load(names: Sequence[str]) -> dict[str, Callback]:
    """The functions that `package.module:function` or `path/to/file.py:function` name. Raises: ConfigError."""
    return {name: _load(name) for name in names}


def _load(name: str) -> Callback:
    place, _, function = name.rpartition(":")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        found = getattr(module, function)
    except Exception as error:
        raise ConfigError(
            f"the callback {name} cannot be loaded: {type(error).__name__}: {error}.",
            where="logging.callbacks",
            remedy="Write package.module:function or path/to/file.py:function.",
        ) from error
    if not callable(found):
        raise ConfigError(f"{name} is no function.", where="logging.callbacks")
    callback: Callback = found
    return callback


def _from_file(path: Path) -> ModuleType:
    name = f"throughline_callbacks_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.absolute())
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
