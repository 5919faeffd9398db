"""What a check of security says: where it looked, what it saw, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.watch.checks import Status


@dataclass(frozen=True, slots=True)
class Told:
    """One check's answer. `do` is the next step, where there is one."""

    about: str
    status: Status
    saw: str
    do: str = ""

    def as_record(self) -> dict[str, str]:
        return {"about": self.about, "status": self.status.value, "saw": self.saw, "do": self.do}


Answers = Iterator[Told]


def fine(about: str, saw: str) -> Told:
    return Told(about, Status.OK, saw)


def finding(about: str, saw: str, do: str) -> Told:
    return Told(about, Status.FINDING, saw, do)


def skipped(about: str, why: str) -> Told:
    return Told(about, Status.SKIPPED, why)


def unknown(about: str, why: str, do: str = "") -> Told:
    return Told(about, Status.UNKNOWN, why, do)
