"""What a check can answer: fine, found, skipped or unknown. They are four different things."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

from pipeline.domain.levels import Finding, LevelCode, Rung
from pipeline.watch.look import Limits, Look

NO_LEDGER = "not without the ledger"
NO_REDIS = "not without Redis"


@unique
class Status(StrEnum):
    """`skipped`: there is nothing to check here. `unknown`: there is, and it could not be checked."""

    OK = "ok"
    FINDING = "finding"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """One check's. `detail` in words; `findings` only when something was found."""

    status: Status
    detail: str
    findings: tuple[Finding, ...] = ()


def fine(detail: str) -> Answer:
    return Answer(Status.OK, detail)


def skipped(why: str) -> Answer:
    return Answer(Status.SKIPPED, why)


def unknown(why: str) -> Answer:
    return Answer(Status.UNKNOWN, why)


def found(*findings: Finding) -> Answer:
    return Answer(Status.FINDING, findings[0].detail, findings)


def found_or(findings: Sequence[Finding], otherwise: str) -> Answer:
    return found(*findings) if findings else fine(otherwise)


Judge = Callable[[Look, Limits], Answer]


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the ladder, with the codes that it can find."""

    name: str
    rung: Rung
    codes: tuple[LevelCode, ...]
    judge: Judge


@dataclass(frozen=True, slots=True)
class Checked:
    """A check and its answer."""

    check: Check
    answer: Answer


def ago(at: datetime, now: datetime) -> str:
    """`12 s ago`, `3 min ago`"""
    return f"{lasting(now - at)} ago"


def lasting(span: timedelta) -> str:
    seconds = max(0.0, span.total_seconds())
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def listed(names: Sequence[str], most: int = 5) -> str:
    """`a, b, c and 4 more`"""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
