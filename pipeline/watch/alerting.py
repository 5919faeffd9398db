"""Alerting: each trouble is told once, with its consequences in the same breath, and its end is told as well."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.domain.levels import Alert, AlertKind, Level, Severity
from pipeline.watch.keeping import LevelKeeper

TRIES = 5
AGAIN_AFTER_S = 10.0


class Notifier(Protocol):
    """One way to tell somebody."""

    @property
    def name(self) -> str: ...

    def send(self, alert: Alert) -> None:
        """Raises: anything when it could not be told."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`least`: what is milder is not told. `remind_every`: None never tells again."""

    least: Severity
    remind_every: timedelta | None


def due(keeper: LevelKeeper, cleared: Sequence[Level], rules: Rules, now: datetime) -> Iterator[Alert]:
    """What is to be told now. A consequence is told only when its cause is over and it still stands."""
    for level in cleared:
        if level.told_at is not None:
            yield _alert(level, AlertKind.CLEARED, now)
    standing = keeper.standing
    for level in standing:
        kind = _kind(level, rules, now)
        if kind is not None:
            keeper.told(level, now)
            also = tuple(dict.fromkeys(each.code for each in standing if each.cause is level.code))
            yield _alert(level, kind, now, also)


def _kind(level: Level, rules: Rules, now: datetime) -> AlertKind | None:
    if level.cause is not None or level.severity.rank < rules.least.rank:
        return None
    if level.told_at is None:
        return AlertKind.RAISED
    if rules.remind_every is not None and now - level.told_at >= rules.remind_every:
        return AlertKind.REMINDED
    return None


def _alert(level: Level, kind: AlertKind, now: datetime, also: tuple[str, ...] = ()) -> Alert:
    return Alert(
        account=level.account,
        kind=kind,
        code=level.code,
        subject=level.subject,
        severity=level.severity,
        detail=level.detail,
        since=level.since,
        at=now,
        also=also,  # type: ignore[arg-type]  # codes, as dict.fromkeys gives them back
    )


@dataclass(slots=True)
class Desk:
    """Sends alerts from a thread of its own: a service that hangs must not stop the watchdog.

    What cannot be sent is tried five times; then it counts as `lost`, and the log has it.
    """

    notifiers: Sequence[Notifier]
    again_after_s: float = AGAIN_AFTER_S
    lost: int = 0
    problem: str = ""
    _waiting: queue.SimpleQueue[tuple[Notifier, Alert] | None] = field(default_factory=queue.SimpleQueue)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def send(self, alert: Alert) -> None:
        """Returns at once."""
        for notifier in self.notifiers:
            self._waiting.put((notifier, alert))
        if self._thread is None and self.notifiers:
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()

    def close(self, patience_s: float = 5.0) -> None:
        """Send what is waiting, for a while."""
        self._stopped.set()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(patience_s)

    def _run(self) -> None:
        while (job := self._waiting.get()) is not None:
            self._try(*job)

    def _try(self, notifier: Notifier, alert: Alert) -> None:
        for _ in range(TRIES):
            try:
                notifier.send(alert)
            except Exception as error:  # noqa: BLE001 - whatever a service does, the next alert is sent
                self.problem = f"{notifier.name}: {error}"
                if self._stopped.wait(self.again_after_s):
                    break
            else:
                self.lost, self.problem = 0, ""
                return
        self.lost += 1
