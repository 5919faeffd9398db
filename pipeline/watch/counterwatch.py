"""Who watches the watchdog: beat and the workers, which see its pulse each time they write their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.levels import Alert, AlertKind, LevelCode
from pipeline.domain.liveness import ProcessState, Pulse
from pipeline.domain.meanings import MEANINGS
from pipeline.watch.alerting import Notifier
from pipeline.watch.pulses import PulseStore

WATCH = "watch"
TOLD_AGAIN = timedelta(hours=1)


@dataclass(slots=True)
class Counterwatch:
    """Tells once, whoever sees it first. A watchdog that never was, or that ended in an orderly way, is not missed."""

    client: redis.Redis
    pulses: PulseStore
    notifiers: Sequence[Notifier]
    account: str
    silent_after: timedelta
    every: timedelta
    _looked_at: datetime | None = None

    def look(self, now: datetime) -> None:
        """Now and then. Raises nothing: whoever calls has other work to do."""
        if self._looked_at is not None and now - self._looked_at < self.every:
            return
        self._looked_at = now
        try:
            lost = _lost(
                [pulse for pulse in self.pulses.read() if pulse.role == WATCH], now, self.silent_after
            )
            if lost is not None and self._is_first(lost):
                self._tell(lost, now)
        except (StoreUnavailable, redis.RedisError, OSError):
            return

    def _is_first(self, lost: Pulse) -> bool:
        key = f"tl:watch:missed:{self.account}:{lost.process}"
        return bool(self.client.set(key, "1", nx=True, ex=TOLD_AGAIN))

    def _tell(self, lost: Pulse, now: datetime) -> None:
        alert = Alert(
            account=self.account,
            kind=AlertKind.RAISED,
            code=LevelCode.WATCH_GONE,
            subject="",
            severity=MEANINGS[LevelCode.WATCH_GONE].severity,
            detail=f"{lost.process} fell silent {lost.age_s(now):.0f} s ago, and no other watchdog lives",
            since=lost.beat_at,
            at=now,
        )
        for notifier in self.notifiers:
            try:
                notifier.send(alert)
            except Exception:  # noqa: BLE001, S112 - the log, which comes first, has it
                continue


def _lost(watchdogs: Sequence[Pulse], now: datetime, silent_after: timedelta) -> Pulse | None:
    """The watchdog that fell silent last, when none lives."""
    newest = max(watchdogs, key=lambda pulse: pulse.beat_at, default=None)
    if newest is None or newest.state is not ProcessState.RUNNING or newest.lives(now, silent_after):
        return None
    return newest
