"""The doctor: one climb down the ladder, and the first cause instead of its consequences."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.levels import Finding, LevelCode, Severity
from pipeline.domain.meanings import MEANINGS, by_cause, cause_of, weight_of
from pipeline.domain.timeframes import iso
from pipeline.watch.checks import Checked, Status, climb
from pipeline.watch.look import Look
from pipeline.watch.looking import Looker

PAUSE_S = 1.0
"""What must be found in two looks is looked at again after this time."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor says. `findings`: the first cause first."""

    at: datetime
    account: str
    ladder: Sequence[Checked]
    findings: Sequence[Finding]

    @property
    def grave(self) -> Sequence[Finding]:
        """Findings that are more than worth knowing."""
        return [each for each in self.findings if weight_of(each) is not Severity.NOTICE]

    @property
    def cause(self) -> Finding | None:
        """Where to begin."""
        return self.grave[0] if self.grave else None

    @property
    def unknown(self) -> Sequence[Checked]:
        """What could not be checked although nothing that was found explains why."""
        return [each for each in self.ladder if each.answer.status is Status.UNKNOWN]

    @property
    def is_well(self) -> bool:
        return not self.grave and not self.unknown

    def cause_of(self, finding: Finding) -> LevelCode | None:
        """What it is only a consequence of."""
        return cause_of(finding.code, {each.code for each in self.findings})

    def as_record(self) -> dict[str, object]:
        cause = self.cause
        return {
            "at": iso(self.at),
            "account": self.account,
            "well": self.is_well,
            "cause": None if cause is None else self._finding_record(cause),
            "findings": [self._finding_record(each) for each in self.findings],
            "ladder": [_checked_record(each) for each in self.ladder],
        }

    def _finding_record(self, finding: Finding) -> dict[str, object]:
        return {
            "code": finding.code.value,
            "subject": finding.subject,
            "severity": weight_of(finding).value,
            "detail": finding.detail,
            "evidence": list(finding.evidence),
            "says": MEANINGS[finding.code].says,
            "do": MEANINGS[finding.code].do,
            "consequence_of": self.cause_of(finding),
        }


def _checked_record(checked: Checked) -> dict[str, object]:
    return {
        "rung": checked.check.rung.value,
        "check": checked.check.name,
        "status": checked.answer.status.value,
        "detail": checked.answer.detail,
    }


def examine(looker: Looker, pause_s: float = PAUSE_S) -> Diagnosis:
    """Raises nothing: what cannot be seen is said to be unknown."""
    diagnosis = _diagnosed(looker, looker.look())
    if all(MEANINGS[each.code].looks == 1 for each in diagnosis.findings):
        return diagnosis
    time.sleep(pause_s)
    return _diagnosed(looker, looker.look())


def _diagnosed(looker: Looker, look: Look) -> Diagnosis:
    ladder = climb(look, looker.limits)
    findings = [finding for each in ladder for finding in each.answer.findings]
    return Diagnosis(look.at, look.account, ladder, by_cause(findings))
