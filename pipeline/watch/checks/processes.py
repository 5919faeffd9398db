"""Who lives, who fell silent, what hangs. Being there is not enough: a pulse is a sign of life from inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.domain.levels import Finding, LevelCode
from pipeline.domain.liveness import ProcessState, Pulse
from pipeline.watch.checks.answers import (
    NO_REDIS,
    Answer,
    ago,
    fine,
    found,
    found_or,
    lasting,
    listed,
    skipped,
    unknown,
)
from pipeline.watch.look import Away, Limits, Look

BEAT, WORKER, WATCH = "beat", "worker", "watch"


def living(look: Look, limits: Limits, kind: str = "") -> Sequence[Pulse]:
    """Processes that live, pool children left out. One that is stopping is busy with that and may be silent."""
    if isinstance(look.pulses, Away):
        return ()
    return [
        pulse
        for pulse in look.pulses
        if not pulse.parent and pulse.role.startswith(kind) and _lives(pulse, look, limits)
    ]


def _lives(pulse: Pulse, look: Look, limits: Limits) -> bool:
    stopping = pulse.state is ProcessState.STOPPING
    return pulse.lives(look.at, limits.stopping_for if stopping else limits.silent_after)


def running(look: Look, limits: Limits) -> Answer:
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    if living(look, limits, BEAT) or living(look, limits, WORKER):
        return fine(f"{len(living(look, limits))} processes live")
    newest = max(look.pulses, key=lambda pulse: pulse.beat_at, default=None)
    since = f"; the last sign of life came {ago(newest.beat_at, look.at)}" if newest else ""
    return found(
        Finding(code=LevelCode.NOTHING_RUNS, detail=f"no beat and no worker lives on {look.account}{since}")
    )


def hosts(look: Look, limits: Limits) -> Answer:
    """A host on which everything fell silent at once has one trouble, not one for each of its processes."""
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    live = sorted({pulse.host for pulse in living(look, limits)})
    lost = _lost_by_host(look.pulses, look, limits)
    gone = [
        _host_gone(host, pulses, live, look)
        for host, pulses in sorted(lost.items())
        if live and host not in live and len(pulses) > 1
    ]
    return found_or(gone, _alive(live))


def _alive(hosts: Sequence[str]) -> str:
    if not hosts:
        return "no host lives"
    return f"{hosts[0]} lives" if len(hosts) == 1 else f"{len(hosts)} hosts live: {listed(hosts)}"


def _lost_by_host(pulses: Sequence[Pulse], look: Look, limits: Limits) -> Mapping[str, list[Pulse]]:
    """Processes that fell silent without an end, pool children left out, by their host."""
    lost: dict[str, list[Pulse]] = {}
    for pulse in pulses:
        if not pulse.parent and pulse.state is not ProcessState.STOPPED and not _lives(pulse, look, limits):
            lost.setdefault(pulse.host, []).append(pulse)
    return lost


def _host_gone(host: str, pulses: Sequence[Pulse], live: Sequence[str], look: Look) -> Finding:
    last = max(pulse.beat_at for pulse in pulses)
    roles = listed(sorted({pulse.role for pulse in pulses}))
    detail = f"everything on {host} ({roles}) fell silent {ago(last, look.at)}; {listed(live)} live"
    return Finding(code=LevelCode.HOST_GONE, subject=host, detail=detail)


def beat(look: Look, limits: Limits) -> Answer:
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    here = living(look, limits, BEAT)
    if here:
        return fine(f"{here[0].process} {_hand(here[0])}")
    return found(Finding(code=LevelCode.BEAT_GONE, detail=_last_beat(look.pulses, look)))


def _hand(pulse: Pulse) -> str:
    return f"lives since {pulse.started_at:%H:%M:%S}"


def _last_beat(pulses: Sequence[Pulse], look: Look) -> str:
    known = [pulse for pulse in pulses if pulse.role.startswith(BEAT)]
    if not known:
        return "no beat was ever seen on this account"
    last = max(known, key=lambda pulse: pulse.beat_at)
    how = "stopped in an orderly way" if last.state is ProcessState.STOPPED else "fell silent"
    return f"{last.process} {how} {ago(last.beat_at, look.at)}, and no other beat lives"


def workers(look: Look, limits: Limits) -> Answer:
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    lost = list(_lost(look.pulses, look, limits))
    lives = [pulse.place for pulse in living(look, limits, WORKER)]
    return found_or(lost, f"{len(lives)} workers live: {', '.join(lives)}" if lives else "no worker was lost")


def _lost(pulses: Sequence[Pulse], look: Look, limits: Limits) -> Iterator[Finding]:
    """Workers that fell silent without an end, and whose place nobody took."""
    newest: dict[str, Pulse] = {}
    for pulse in pulses:
        if pulse.role.startswith(WORKER) and not pulse.parent:
            known = newest.get(pulse.place)
            newest[pulse.place] = pulse if known is None or pulse.beat_at > known.beat_at else known
    for place, pulse in newest.items():
        if pulse.state is not ProcessState.STOPPED and not _lives(pulse, look, limits):
            detail = f"{pulse.process} (queues {', '.join(pulse.queues)}) fell silent {ago(pulse.beat_at, look.at)}"
            yield Finding(code=LevelCode.WORKER_GONE, subject=place, detail=detail)


def children(look: Look, limits: Limits) -> Answer:
    """A worker names its pool's processes; those that live must speak for themselves.

    Another worker on its host may name the same numbers: containers count their processes each for itself.
    """
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    known = {(pulse.place, pulse.pid): pulse for pulse in look.pulses if pulse.parent}
    parents = living(look, limits, WORKER)
    if not parents:
        return skipped("no worker lives")
    mute = [finding for parent in parents for finding in _mute(parent, known, look, limits)]
    return found_or(mute, f"{sum(len(parent.children) for parent in parents)} pool processes speak")


def _mute(
    parent: Pulse, known: Mapping[tuple[str, int], Pulse], look: Look, limits: Limits
) -> Iterator[Finding]:
    for pid in parent.children:
        pulse = known.get((parent.place, pid))
        if pulse is not None and look.at - pulse.beat_at > limits.silent_after:
            doing = next((each.doing for each in pulse.components if each.doing), "nothing")
            yield Finding(
                code=LevelCode.PROCESS_MUTE,
                subject=pulse.process,
                detail=f"{pulse.process} says nothing since {lasting(look.at - pulse.beat_at)}; "
                f"it was at {doing}, and its worker lives",
            )


def threads(look: Look, limits: Limits) -> Answer:
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    fresh = [pulse for pulse in look.pulses if _lives(pulse, look, limits)]
    hung = [_hung(pulse, look) for pulse in fresh if pulse.hanging()]
    return found_or(hung, "no part of a process has been at one thing for too long")


def _hung(pulse: Pulse, look: Look) -> Finding:
    worst = max(pulse.hanging(), key=lambda each: each.age_s(look.at))
    doing = f"in {worst.doing}" if worst.doing else f"at its {worst.name}"
    return Finding(
        code=LevelCode.THREAD_HUNG,
        subject=pulse.place,
        detail=f"{pulse.process}: {worst.thread} has been {doing} for {worst.age_s(look.at):.0f} s",
        evidence=(worst.where,) if worst.where else (),
    )


def watchdog(look: Look, limits: Limits) -> Answer:
    """Who watches the watchdog: whoever else looks."""
    if look.asked_by_watch:
        return fine("this is the watchdog")
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    here = living(look, limits, WATCH)
    if here:
        return fine(f"{here[0].process} {_hand(here[0])}")
    return found(Finding(code=LevelCode.WATCH_GONE, detail="no watchdog lives: nobody would tell you"))


def logs(look: Look, limits: Limits) -> Answer:
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    fresh = [pulse for pulse in look.pulses if _lives(pulse, look, limits)]
    broken = [
        Finding(
            code=LevelCode.LOGGING_STOPPED, subject=pulse.place, detail=f"{pulse.process}: {pulse.unlogged}"
        )
        for pulse in fresh
        if pulse.unlogged
    ]
    return found_or(broken, "every process writes its log")
