"""Where the time of decisions goes, and what went wrong, grouped by its cause."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.decisions import Mode
from pipeline.domain.timeframes import iso
from pipeline.ledger.statistics import By, Duration, Mishap, Span, SqlStatistics
from pipeline.watch.latencies import Latencies

MOST_MISHAPS = 5000
"""The newest of a span: a cause that is not among them has not happened lately."""

_VARYING = re.compile(
    r"dec_\d{8}_\d{6}_\w+|0x[0-9a-f]+|\b[0-9a-f]{16,}\b|\b[A-Z0-9]{2,15}/USDT:USDT\b"
    r"|\d{4}-\d\d-\d\d[T ][\d:.]+Z?|(?<![-\w])\d[\d.,]*\b"
)
"""Ids, symbols, times and numbers; a code of the exchange's, `-2019`, stays."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the chain: how much time it took in all, and what share of all parts' time that is."""

    mode: Mode
    name: str
    took: Latencies
    share: float

    def as_record(self) -> dict[str, object]:
        return {"mode": self.mode.value, "part": self.name, "share": self.share, **self.took.as_record()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Mishaps with one cause. `example` is the newest decision that it happened to."""

    mode: Mode
    kind: str
    cause: str
    many: int
    symbols: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    example: str

    def as_record(self) -> dict[str, object]:
        return {
            "mode": self.mode.value,
            "kind": self.kind,
            "cause": self.cause,
            "count": self.many,
            "symbols": list(self.symbols),
            "first_at": iso(self.first_at),
            "last_at": iso(self.last_at),
            "example": self.example,
        }


def slowest_parts(statistics: SqlStatistics, span: Span) -> list[Part]:
    """Each stage's waiting and running and each strategy, the one that took most of the time first.

    A strategy's time is part of evaluate's and counts there, too: shares are of the stages' time. Raises:
    LedgerUnavailable.
    """
    stages = [_named(each, f"{each.key}: {each.kind}") for each in statistics.stage_durations(span, By.STAGE)]
    strategies = [_named(each, f"strategy {each.key}") for each in statistics.strategy_durations(span)]
    found: list[Part] = []
    for mode in Mode:
        whole = sum(each.tenths * each.many for each in stages if each.mode is mode)
        for name, took in _by_key(each for each in (*stages, *strategies) if each.mode is mode).items():
            found.append(Part(mode, name, took, took.sum_ms * 10 / whole if whole else 0.0))
    return sorted(found, key=lambda part: (part.mode, -part.share))


def _named(duration: Duration, name: str) -> Duration:
    return Duration(
        mode=duration.mode, key=name, kind=duration.kind, tenths=duration.tenths, many=duration.many
    )


def _by_key(durations: Iterable[Duration]) -> dict[str, Latencies]:
    found: dict[str, Latencies] = defaultdict(Latencies)
    for each in durations:
        found[each.key].add(each.tenths, each.many)
    return found


def error_groups(statistics: SqlStatistics, span: Span) -> list[ErrorGroup]:
    """What failed, was rejected, expired or broke in a strategy, by cause, the most frequent first.

    Raises: LedgerUnavailable.
    """
    groups: dict[tuple[Mode, str, str], list[Mishap]] = defaultdict(list)
    for each in statistics.mishaps(span, MOST_MISHAPS):
        groups[each.mode, each.kind, cause(each.detail)].append(each)
    found = [_group(key, mishaps) for key, mishaps in groups.items()]
    return sorted(found, key=lambda group: (group.mode, -group.many, group.cause))


def _group(key: tuple[Mode, str, str], mishaps: Sequence[Mishap]) -> ErrorGroup:
    mode, kind, why = key
    newest = max(mishaps, key=lambda each: each.at)
    return ErrorGroup(
        mode=mode,
        kind=kind,
        cause=why,
        many=len(mishaps),
        symbols=tuple(sorted({each.symbol for each in mishaps})),
        first_at=min(each.at for each in mishaps),
        last_at=newest.at,
        example=newest.decision_id,
    )


def cause(detail: str) -> str:
    """What several mishaps have in common: the last line, without what differs from one to the next."""
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    return _VARYING.sub("…", lines[-1])[:200] if lines else ""
