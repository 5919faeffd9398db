"""How it is right now: what runs, what waits, what became of the decisions, whether it may trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import redis

from console import roles
from console.supervise.remote import ProcessState, Remote, SupervisorGone, socket_path
from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.levels import Level, Severity
from pipeline.domain.positions import Equity
from pipeline.domain.switches import KillSwitch, TradingState
from pipeline.watch.keeping import loudness

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

LAST = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One look. `processes` is None when no `up` runs with this home, `queues` when Redis does not answer."""

    at: datetime
    account: str
    processes: Sequence[ProcessState] | None
    queues: Mapping[str, int] | None
    decisions: Mapping[str, int]
    decisions_last_hour: Mapping[str, int]
    equity: Equity | None
    open_positions: int
    switches: Sequence[KillSwitch]
    trading: TradingState
    levels: Sequence[Level] = ()
    watched_at: datetime | None = None

    @property
    def equity_age_s(self) -> float | None:
        return (self.at - self.equity.occurred_at).total_seconds() if self.equity else None

    @property
    def open_decisions(self) -> int:
        return self.decisions.get("open", 0)

    def findings(self, equity_max_age_s: float) -> list[str]:
        """What somebody should look at."""
        found = [
            f"{level.code} {level.detail}" for level in self.levels if level.severity is not Severity.NOTICE
        ]
        found += [f"{each.name} is {each.state}" for each in self.processes or () if not each.is_up]
        found += ["Redis does not answer"] if self.queues is None else []
        found += [f"trading is {self.trading}"] if self.trading is not TradingState.ACTIVE else []
        found += [f"the {switch.title} is on" for switch in self.switches]
        age = self.equity_age_s
        if self.processes and (age is None or age > equity_max_age_s):
            found.append("equity was never recorded" if age is None else f"equity is {age:.0f} s old")
        return found


def look(pipeline: Pipeline) -> Condition:
    """Raises: LedgerUnavailable."""
    now = pipeline.clock.now()
    with pipeline.ledger.read() as unit:
        return Condition(
            at=now,
            account=pipeline.account,
            processes=processes(pipeline),
            queues=queue_depths(pipeline.settings.redis_url),
            decisions=unit.decisions.counts(),
            decisions_last_hour=unit.decisions.counts(now - LAST),
            equity=unit.equity.latest(pipeline.account),
            open_positions=len(unit.positions.all_open(pipeline.account)),
            switches=unit.switches.on(),
            trading=unit.switches.trading_state(pipeline.account),
            levels=sorted(unit.levels.standing(pipeline.account), key=loudness),
            watched_at=watched_at(pipeline),
        )


def watched_at(pipeline: Pipeline) -> datetime | None:
    """When a watchdog last gave a sign of life; None when there is none, or Redis does not answer."""
    from pipeline.oversight import pulse_store  # noqa: PLC0415  with it comes the exchange's library, which takes a while

    try:
        pulses = pulse_store(pipeline).read()
    except StoreUnavailable:
        return None
    return max((pulse.beat_at for pulse in pulses if pulse.role == "watch"), default=None)


def processes(pipeline: Pipeline) -> Sequence[ProcessState] | None:
    """Those of the `up` that runs with this home, if one does."""
    try:
        return Remote(socket_path(pipeline.settings.home)).processes()
    except SupervisorGone:
        return None


def queue_depths(redis_url: str) -> Mapping[str, int] | None:
    """Messages that wait in each queue; None when Redis does not answer."""
    try:
        with redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2) as client:
            pipe = client.pipeline(transaction=False)
            for queue in roles.QUEUES:
                pipe.llen(queue)
            return dict(zip(roles.QUEUES, pipe.execute(), strict=True))
    except (redis.RedisError, OSError):
        return None
