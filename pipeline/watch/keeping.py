"""Keeping levels: a finding is an instant, a level has a beginning and an end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pipeline.domain.levels import Finding, Level, LevelCode
from pipeline.domain.meanings import MEANINGS, cause_of, weight_of
from pipeline.watch.checks import Checked, Status

Key = tuple[LevelCode, str]


@dataclass(frozen=True, slots=True)
class Changes:
    """What one look changed."""

    raised: Sequence[Level]
    cleared: Sequence[Level]


@dataclass(slots=True)
class LevelKeeper:
    """The levels of an account. What could not be checked neither rises nor falls.

    `clear_after`: how long a trouble must be gone before its level is; one that comes and goes stands.
    """

    account: str
    clear_after: timedelta
    _levels: dict[Key, Level] = field(default_factory=dict)
    _in_a_row: dict[Key, int] = field(default_factory=dict)

    def remember(self, levels: Iterable[Level]) -> None:
        """Those of the watchdog before us: their beginning is older than we are."""
        self._levels |= {level.key: level for level in levels if level.key not in self._levels}

    def forget(self) -> None:
        """Another watchdog keeps them now."""
        self._levels, self._in_a_row = {}, {}

    @property
    def standing(self) -> Sequence[Level]:
        """The loudest cause first, consequences last."""
        return sorted(self._levels.values(), key=loudness)

    def note(self, ladder: Sequence[Checked], now: datetime) -> Changes:
        """What a look found."""
        findings = {(each.code, each.subject): each for each in _findings(ladder)}
        self._count(findings.keys())
        raised = [self._raise(findings[key], now) for key in findings if self._is_new(key)]
        self._see_again(findings, now)
        cleared = [self._levels.pop(key) for key in self._over(_decided(ladder), findings.keys(), now)]
        self._explain()
        return Changes([self._levels[level.key] for level in raised], cleared)

    def told(self, level: Level, at: datetime) -> None:
        """Somebody was told of it."""
        known = self._levels.get(level.key)
        if known is not None:
            self._levels[level.key] = replace(known, told_at=at)

    def _count(self, found: Collection[Key]) -> None:
        self._in_a_row = {key: self._in_a_row.get(key, 0) + 1 for key in found}

    def _is_new(self, key: Key) -> bool:
        return key not in self._levels and self._in_a_row[key] >= MEANINGS[key[0]].looks

    def _raise(self, finding: Finding, now: datetime) -> Level:
        level = Level(
            account=self.account,
            code=finding.code,
            subject=finding.subject,
            severity=weight_of(finding),
            detail=in_full(finding),
            since=now,
            seen_at=now,
        )
        self._levels[level.key] = level
        return level

    def _see_again(self, findings: Mapping[Key, Finding], now: datetime) -> None:
        for key, finding in findings.items():
            if key in self._levels:
                self._levels[key] = replace(
                    self._levels[key], seen_at=now, detail=in_full(finding), severity=weight_of(finding)
                )

    def _over(self, decided: Collection[LevelCode], found: Collection[Key], now: datetime) -> list[Key]:
        return [
            key
            for key, level in self._levels.items()
            if key[0] in decided and key not in found and now - level.seen_at >= self.clear_after
        ]

    def _explain(self) -> None:
        codes = {code for code, _ in self._levels}
        self._levels = {
            key: replace(level, cause=cause_of(level.code, codes)) for key, level in self._levels.items()
        }


def in_full(finding: Finding) -> str:
    return "; ".join([finding.detail, *finding.evidence])


def loudness(level: Level) -> tuple[bool, int, int, str]:
    """Sorts the loudest cause to the front: causes before consequences, the grave first, down the ladder."""
    return (
        level.cause is not None,
        -level.severity.rank,
        list(LevelCode).index(level.code),
        level.subject,
    )


def _findings(ladder: Sequence[Checked]) -> Iterable[Finding]:
    return (finding for each in ladder for finding in each.answer.findings)


def _decided(ladder: Sequence[Checked]) -> set[LevelCode]:
    """Codes whose checks came to an answer."""
    return {code for each in ladder if each.answer.status is not Status.UNKNOWN for code in each.check.codes}
