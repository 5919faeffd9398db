"""CPU time of processes with all their children, user and system, from the operating system's own accounts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

Seconds = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds by role over `wall_s` seconds."""

    cpu: Seconds
    wall_s: float

    def without(self, idle: Spent) -> Spent:
        """What is left when what the processes spend anyway in that time is taken off."""
        part = self.wall_s / idle.wall_s
        return Spent(
            {role: max(0.0, cpu - idle.cpu[role] * part) for role, cpu in self.cpu.items()}, self.wall_s
        )


def total(roots: Sequence[int]) -> float:
    """CPU seconds so far of these processes and everything below them."""
    return sum(_of(process) for pid in roots for process in _family(pid))


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def spent(roles: Mapping[str, Sequence[int]], work: Callable[[], object]) -> Spent:
    """What each role spends while `work` runs; no process may start or end meanwhile."""
    before, began = _totals(roles), time.perf_counter()
    work()
    wall_s = time.perf_counter() - began
    after = _totals(roles)
    return Spent({role: after[role] - before[role] for role in roles}, wall_s)


def busy() -> float:
    """CPU seconds that the whole machine has worked so far."""
    times = psutil.cpu_times()
    return (
        times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    )


def _totals(roles: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {role: total(pids) for role, pids in roles.items()}
