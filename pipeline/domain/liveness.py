"""Pulses: what each process says of itself every few seconds, so that silence has a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, unique

from pipeline.domain.timeframes import from_iso, iso


@unique
class ProcessState(StrEnum):
    """`stopped` is the last word of an orderly end: whoever is silent without it was lost."""

    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A part of a process with a thread of its own.

    `since`: its last sign of life, or since when it has been at what it is `doing`; None while it is idle. It hangs
    when that is longer ago than `limit_s`. `where` has its thread's innermost frames then.
    """

    name: str
    thread: str
    since: datetime | None
    limit_s: float
    doing: str = ""
    where: str = ""

    def age_s(self, at: datetime) -> float:
        """Seconds since `since`, 0 while it is idle."""
        return max(0.0, (at - self.since).total_seconds()) if self.since else 0.0

    def hangs(self, at: datetime) -> bool:
        return self.age_s(at) > self.limit_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """A process as it saw itself at `beat_at`.

    `process` is `<role>@<host>/<pid>`. A pool child names its worker's pid as `parent` (0 for all others), a worker
    its `children`. `done` counts finished tasks, the last one at `last_done_at`. `unlogged`: why its log cannot be
    written, empty when it can. `release` is the code that it runs, `clock_ahead_s` how far its host's clock is ahead of
    Redis'.
    """

    role: str
    host: str
    pid: int
    account: str
    config_hash: str
    started_at: datetime
    beat_at: datetime
    state: ProcessState = ProcessState.RUNNING
    parent: int = 0
    queues: tuple[str, ...] = ()
    children: tuple[int, ...] = ()
    components: tuple[Component, ...] = ()
    threads: tuple[str, ...] = ()
    done: int = 0
    last_done_at: datetime | None = None
    note: str = ""
    unlogged: str = ""
    release: str = ""
    clock_ahead_s: float = 0.0

    @property
    def process(self) -> str:
        return f"{self.role}@{self.host}/{self.pid}"

    @property
    def place(self) -> str:
        """The role on its host: whoever comes after it takes its place."""
        return f"{self.role}@{self.host}"

    def age_s(self, at: datetime) -> float:
        return max(0.0, (at - self.beat_at).total_seconds())

    def lives(self, at: datetime, within: timedelta) -> bool:
        return self.state is not ProcessState.STOPPED and at - self.beat_at <= within

    def later(self, by: timedelta) -> Pulse:
        """The same, told by a clock that is ahead by so much."""
        return replace(
            self,
            started_at=self.started_at + by,
            beat_at=self.beat_at + by,
            last_done_at=self.last_done_at + by if self.last_done_at else None,
            components=tuple(
                replace(each, since=each.since + by) if each.since else each for each in self.components
            ),
        )

    def is_of(self, role: str) -> bool:
        """Whether it plays this role: `beat`, or a worker's name, `market` for `worker-market`."""
        return self.role == role or self.role.endswith(f"-{role}")

    def hanging(self) -> Sequence[Component]:
        """Components that had been silent for too long when the process beat."""
        return [each for each in self.components if each.hangs(self.beat_at)]

    def as_record(self) -> dict[str, object]:
        """As JSON can hold it."""
        return {
            "role": self.role,
            "host": self.host,
            "pid": self.pid,
            "account": self.account,
            "config_hash": self.config_hash,
            "started_at": iso(self.started_at),
            "beat_at": iso(self.beat_at),
            "state": self.state.value,
            "parent": self.parent,
            "queues": list(self.queues),
            "children": list(self.children),
            "components": [_component_record(each) for each in self.components],
            "threads": list(self.threads),
            "done": self.done,
            "last_done_at": iso(self.last_done_at),
            "note": self.note,
            "unlogged": self.unlogged,
            "release": self.release,
            "clock_ahead_s": self.clock_ahead_s,
        }

    @classmethod
    def from_record(cls, told: Mapping[str, object]) -> Pulse:
        """What `as_record` gave, of an older release perhaps. Raises: KeyError, TypeError, ValueError when it is
        something else.
        """
        return cls(
            role=str(told["role"]),
            host=str(told["host"]),
            pid=int(str(told["pid"])),
            account=str(told["account"]),
            config_hash=str(told["config_hash"]),
            started_at=from_iso(str(told["started_at"])),
            beat_at=from_iso(str(told["beat_at"])),
            state=ProcessState(str(told["state"])),
            parent=int(str(told["parent"])),
            queues=tuple(map(str, _list(told["queues"]))),
            children=tuple(int(str(pid)) for pid in _list(told["children"])),
            components=tuple(_component(each) for each in _list(told["components"])),
            threads=tuple(map(str, _list(told["threads"]))),
            done=int(str(told["done"])),
            last_done_at=_instant(told["last_done_at"]),
            note=str(told["note"]),
            unlogged=str(told.get("unlogged", "")),
            release=str(told.get("release", "")),
            clock_ahead_s=float(str(told.get("clock_ahead_s", 0.0))),
        )


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _instant(text: object) -> datetime | None:
    return from_iso(str(text)) if text else None


def _component_record(component: Component) -> dict[str, object]:
    return {
        "name": component.name,
        "thread": component.thread,
        "since": iso(component.since),
        "limit_s": component.limit_s,
        "doing": component.doing,
        "where": component.where,
    }


def _component(told: object) -> Component:
    if not isinstance(told, Mapping):
        raise TypeError(f"{told!r} is no component")
    return Component(
        name=str(told["name"]),
        thread=str(told["thread"]),
        since=_instant(told["since"]),
        limit_s=float(told["limit_s"]),
        doing=str(told["doing"]),
        where=str(told["where"]),
    )
