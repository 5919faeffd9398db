"""What one process knows of its own life: its components, their threads, and what they are at."""

from __future__ import annotations

import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from config.release import release
from pipeline.domain.liveness import Component, ProcessState, Pulse
from pipeline.domain.timeframes import Clock

FRAMES = 3
"""So many of a hanging thread's innermost frames are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which process this is. `parent` as in `Pulse`."""

    role: str
    account: str
    config_hash: str
    parent: int = 0
    queues: tuple[str, ...] = ()
    release: str = field(default_factory=release)
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)


class Vitals:
    """Each component is written by its own thread only; `pulse` may be called by any other.

    `children`: the pids of the pool's processes at this moment; `unlogged`: why its log cannot be written, or nothing.
    """

    def __init__(
        self,
        identity: Identity,
        clock: Clock,
        children: Callable[[], Iterable[int]] = tuple,
        unlogged: Callable[[], str] = str,
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._children = children
        self._unlogged = unlogged
        self._started_at = clock.now()
        self._components: dict[str, Component] = {}
        self._idents: dict[str, int] = {}
        self._done = 0
        self._last_done_at: datetime | None = None
        self.state = ProcessState.RUNNING
        self.note = ""

    def touch(self, name: str, limit_s: float) -> None:
        """A component that comes round again and again is here now."""
        self._set(name, limit_s, self._clock.now(), "")

    def begin(self, name: str, doing: str, limit_s: float) -> None:
        """A component starts on something."""
        self._set(name, limit_s, self._clock.now(), doing)

    def end(self, name: str) -> None:
        """It is done with it, and idle."""
        known = self._components.get(name)
        if known is not None:
            self._components[name] = replace(known, since=None, doing="")
        self._done += 1
        self._last_done_at = self._clock.now()

    def _set(self, name: str, limit_s: float, since: datetime, doing: str) -> None:
        thread = threading.current_thread()
        self._idents[name] = threading.get_ident()
        self._components[name] = Component(
            name=name, thread=thread.name, since=since, limit_s=limit_s, doing=doing
        )

    def pulse(self) -> Pulse:
        """This process now."""
        now, who = self._clock.now(), self._identity
        return Pulse(
            role=who.role,
            host=who.host,
            pid=who.pid,
            account=who.account,
            config_hash=who.config_hash,
            parent=who.parent,
            queues=who.queues,
            release=who.release,
            children=tuple(self._children()),
            started_at=self._started_at,
            beat_at=now,
            state=self.state,
            components=tuple(self._seen(each, now) for each in list(self._components.values())),
            threads=tuple(thread.name for thread in threading.enumerate()),
            done=self._done,
            last_done_at=self._last_done_at,
            note=self.note,
            unlogged=self._unlogged(),
        )

    def _seen(self, component: Component, now: datetime) -> Component:
        if not component.hangs(now):
            return component
        return replace(component, where=where_is(self._idents[component.name]))


def where_is(ident: int) -> str:
    """`file.py:12 in wait < caller.py:7 in run`: where a thread is at this moment; empty when it is gone."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - the only way to look at another thread
    if frame is None:
        return ""
    innermost = traceback.extract_stack(frame, limit=None)[-FRAMES:]
    return " < ".join(
        f"{Path(each.filename).name}:{each.lineno} in {each.name}" for each in reversed(innermost)
    )
