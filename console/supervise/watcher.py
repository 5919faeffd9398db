"""What happened between two looks at the programs: who died, who was restarted, who keeps dying."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from console.supervise.remote import ProcessState

MANY_DEATHS = 3
WITHIN_S = 60.0
TRY_AGAIN_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell. `deaths` counts this program's within a minute; `given_up`: it is not up again."""

    name: str
    deaths: int
    given_up: bool

    @property
    def keeps_dying(self) -> bool:
        return self.given_up or self.deaths >= MANY_DEATHS

    @property
    def text(self) -> str:
        if self.given_up:
            return f"{self.name} cannot be kept up; it is tried again in {TRY_AGAIN_AFTER_S:.0f} s"
        if self.keeps_dying:
            return f"{self.name} keeps dying ({self.deaths} times within a minute)"
        return f"{self.name} died and is being restarted"


@dataclass(slots=True)
class Watcher:
    """Compares each look with the one before."""

    _pids: dict[str, int] = field(default_factory=dict)
    _deaths: dict[str, deque[float]] = field(default_factory=dict)
    _given_up_at: dict[str, float] = field(default_factory=dict)

    def look(self, processes: Sequence[ProcessState], now: float) -> list[Notice]:
        """What is new. `now` in seconds of a clock that only goes forward."""
        return [notice for process in processes for notice in self._one(process, now)]

    def to_start_again(self, now: float) -> list[str]:
        """Those that were given up long enough ago."""
        due = [name for name, at in self._given_up_at.items() if now - at >= TRY_AGAIN_AFTER_S]
        for name in due:
            del self._given_up_at[name]
        return due

    def _one(self, process: ProcessState, now: float) -> Iterator[Notice]:
        before = self._pids.get(process.name, 0)
        self._pids[process.name] = process.pid
        died = before not in {0, process.pid} and process.state not in {"STOPPING", "STOPPED"}
        deaths = self._count(process.name, now, died=died)
        if process.state == "FATAL" and process.name not in self._given_up_at:
            self._given_up_at[process.name] = now
            yield Notice(process.name, deaths, given_up=True)
        elif died and deaths <= MANY_DEATHS:  # after that it is quiet until it is given up
            yield Notice(process.name, deaths, given_up=False)

    def _count(self, name: str, now: float, *, died: bool) -> int:
        times = self._deaths.setdefault(name, deque())
        if died:
            times.append(now)
        while times and now - times[0] > WITHIN_S:
            times.popleft()
        return len(times)
