"""Whether one role does its work on one host: what a container's health check asks every half minute.

A live process is not enough. It must have given a sign of life from inside, none of its parts may hang, and a worker
must not let messages grow old while it finishes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.liveness import ProcessState, Pulse
from pipeline.watch.look import BrokerView


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long silence, and a message in a queue, are no reason to worry."""

    silent_after: timedelta
    queue_oldest: timedelta


def problems_of(
    pulses: Sequence[Pulse], broker: BrokerView, *, role: str, host: str, at: datetime, patience: Patience
) -> list[str]:
    """What is wrong with the role on the host, for people; nothing when it does its work."""
    here = [each for each in pulses if each.host == host]
    own = [each for each in here if not each.parent and each.is_of(role)]
    alive = [each for each in own if each.lives(at, patience.silent_after)]
    if not alive:
        return [_silence(role, host, own, at)]
    newest = max(alive, key=lambda each: each.beat_at)
    family = [newest, *(each for each in here if each.place == newest.place and each.parent == newest.pid)]
    return [*_stopping(newest), *_hanging(family), *_idle(newest, family, broker, at, patience)]


def unmet(role: str, page: str, lines: Sequence[str]) -> list[str]:
    """What a role's own page should say and does not; nothing when it does its work."""
    told = frozenset(page.splitlines())
    return [f"{role} does not say {line!r}" for line in lines if line not in told]


def _silence(role: str, host: str, own: Sequence[Pulse], at: datetime) -> str:
    if not own:
        return f"no {role} was ever seen on {host}"
    last = max(own, key=lambda each: each.beat_at)
    how = "has stopped" if last.state is ProcessState.STOPPED else "is silent"
    return f"{last.process} {how} since {last.age_s(at):.0f} s"


def _stopping(pulse: Pulse) -> Iterator[str]:
    if pulse.state is ProcessState.STOPPING:
        yield f"{pulse.process} is stopping"


def _hanging(family: Sequence[Pulse]) -> Iterator[str]:
    for pulse in family:
        for part in pulse.hanging():
            yield f"{pulse.process}: {part.name} hangs at {part.doing or part.where or 'nothing that it names'}"


def _idle(
    worker: Pulse, family: Sequence[Pulse], broker: BrokerView, at: datetime, patience: Patience
) -> Iterator[str]:
    """A worker whose queue has an old message, and which has finished nothing since that one came."""
    done = max((each.last_done_at for each in family if each.last_done_at), default=worker.started_at)
    for name in worker.queues:
        view = broker.queues.get(name)
        since = view.oldest_at if view else None
        if since and at - since > patience.queue_oldest and done < since:
            yield f"{worker.process} lets a message wait in {name} for {(at - since).total_seconds():.0f} s"
