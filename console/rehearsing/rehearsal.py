"""One rehearsal: stage, wait for the watchdog, ask the doctor, mend, wait until all is well again."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from console.records import COMPONENT
from console.rehearsing.incidents import Incident, staged
from console.rehearsing.system import LOOK_EVERY_S, NotInTime, System
from pipeline.domain.levels import LevelCode
from pipeline.trace import logs
from pipeline.watch.doctor import Diagnosis, examine
from pipeline.watch.keeping import loudness

DETECT_S = 60.0
RECOVER_S = 150.0
WARM_UP_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`detected_s`: from the incident to its level; None when it did not come within 60 s. `loudest`: what stood on top
    then. `cause`: what the doctor named first. `recovered_s`: from the mending until no level stood; None when never.
    """

    incident: str
    expected: LevelCode
    detected_s: float | None
    detail: str
    loudest: LevelCode | None
    cause: LevelCode | None
    consequences: tuple[LevelCode, ...]
    recovered_s: float | None

    @property
    def passed(self) -> bool:
        detected = self.detected_s is not None and self.detected_s <= DETECT_S
        return detected and self.cause is self.expected and self.recovered_s is not None

    def as_record(self) -> dict[str, object]:
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A run in which nothing happens. `alarms`: the levels that were raised all the same, with their details."""

    seconds: float
    decisions: int
    alarms: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.alarms and self.decisions > 0

    def as_record(self) -> dict[str, object]:
        return {**asdict(self), "passed": self.passed}


@contextmanager
def running_system(settings: Mapping[str, Mapping[str, object]] | None = None) -> Iterator[System]:
    """A system that is up and has ended some decisions. Its folder is kept when something raises.

    Raises: ConfigError, NotInTime.
    """
    folder = Path(tempfile.mkdtemp(prefix="throughline-rehearsal-"))
    system = System(folder, settings or {})
    try:
        system.await_up()
        logs.configure(COMPONENT, system.pipeline.settings)
        symbols = len(system.pipeline.settings.universe.symbols)
        system.wait(lambda: system.decisions_ended() >= 2 * symbols, WARM_UP_S, "the first decisions")
        yield system
    finally:
        system.stop()
    shutil.rmtree(folder, ignore_errors=True)


def rehearse(incident: Incident, system: System) -> Result:
    """Raises: NotInTime when all was not well before."""
    from pipeline.oversight import looker_of  # noqa: PLC0415  with it comes the exchange's library, which takes a while

    system.wait(lambda: not system.levels(), RECOVER_S, "every level to be cleared")
    with staged(incident, system):
        began = time.monotonic()
        detected_s = _detected(incident, system, began)
        level = system.level(incident.code)
        loudest = _loudest(system)
        diagnosis = examine(looker_of(system.pipeline, with_account=True))
    return Result(
        incident=incident.name,
        expected=incident.code,
        detected_s=detected_s,
        detail=level.detail if level else "",
        loudest=loudest,
        cause=diagnosis.cause.code if diagnosis.cause else None,
        consequences=_consequences(diagnosis),
        recovered_s=_recovered(system),
    )


def _detected(incident: Incident, system: System, began: float) -> float | None:
    try:
        system.wait(lambda: system.level(incident.code), DETECT_S, f"{incident.code}")
    except NotInTime:
        return None
    return round(time.monotonic() - began, 1)


def _loudest(system: System) -> LevelCode | None:
    standing = sorted(system.levels(), key=loudness)
    return standing[0].code if standing else None


def _consequences(diagnosis: Diagnosis) -> tuple[LevelCode, ...]:
    codes = [each.code for each in diagnosis.grave if diagnosis.cause_of(each) is not None]
    return tuple(dict.fromkeys(codes))


def _recovered(system: System) -> float | None:
    try:
        return round(system.wait(lambda: not system.levels(), RECOVER_S, "all to be well"), 1)
    except NotInTime:
        return None


def keep_quiet(system: System, seconds: float) -> Quiet:
    """Do nothing, and listen."""
    before, alarms = system.decisions_ended(), dict[tuple[str, str], str]()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for level in system.levels():
            alarms.setdefault((level.code.value, level.subject), f"{level.code} {level.detail}")
        time.sleep(LOOK_EVERY_S)
    return Quiet(seconds=seconds, decisions=system.decisions_ended() - before, alarms=tuple(alarms.values()))
