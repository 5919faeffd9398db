"""Whether messages move: consumers, waiting times, and hand-offs that arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.domain.decisions import Stage
from pipeline.domain.levels import Finding, LevelCode
from pipeline.domain.liveness import Pulse
from pipeline.watch.checks.answers import (
    NO_REDIS,
    Answer,
    ago,
    fine,
    found,
    found_or,
    lasting,
    listed,
    unknown,
)
from pipeline.watch.checks.processes import WORKER, living
from pipeline.watch.look import Away, Limits, Look, QueueView, Waiting


def consumers(look: Look, limits: Limits) -> Answer:
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    here = living(look, limits, WORKER)
    taken = {queue for pulse in here for queue in pulse.queues}
    missing = [_unconsumed(queue, look) for queue in limits.queues if queue not in taken]
    return found_or(missing, f"every queue has a consumer: {', '.join(limits.queues)}")


def _unconsumed(queue: str, look: Look) -> Finding:
    depth = "" if isinstance(look.broker, Away) else f"; {look.broker.queues[queue].depth} messages wait"
    return Finding(
        code=LevelCode.QUEUE_UNCONSUMED,
        subject=queue,
        detail=f"no living worker takes messages from the queue {queue}{depth}",
    )


def waiting_times(look: Look, limits: Limits) -> Answer:
    if isinstance(look.broker, Away):
        return unknown(NO_REDIS)
    stuck = list(_stuck(look, limits))
    depths = ", ".join(f"{name} {view.depth}" for name, view in look.broker.queues.items())
    return found_or(stuck, f"nothing waits for long: {depths}")


def _stuck(look: Look, limits: Limits) -> Iterator[Finding]:
    if isinstance(look.broker, Away):
        return
    for name, view in look.broker.queues.items():
        if view.oldest_at is not None and look.at - view.oldest_at > limits.queue_oldest:
            consuming = [pulse for pulse in living(look, limits, WORKER) if name in pulse.queues]
            if consuming:  # without, the queue has no consumer, which is said already
                yield _stuck_queue(name, view, consuming, look)


def _stuck_queue(name: str, view: QueueView, consuming: Sequence[Pulse], look: Look) -> Finding:
    waits = f"{view.depth} messages wait in {name}, the oldest ({view.oldest_task}) for "
    age = lasting(look.at - view.oldest_at) if view.oldest_at else "?"
    return Finding(
        code=LevelCode.QUEUE_STUCK,
        subject=name,
        detail=f"{waits}{age}; {_how_they_do(consuming, look)}",
    )


def _how_they_do(workers: Sequence[Pulse], look: Look) -> str:
    """Completing something is the only proof of life that counts."""
    places = {pulse.place for pulse in workers}
    pulses = () if isinstance(look.pulses, Away) else look.pulses
    done = [pulse.last_done_at for pulse in pulses if pulse.place in places and pulse.last_done_at]
    if not done:
        return f"{', '.join(sorted(places))} never completed anything"
    return f"{', '.join(sorted(places))} completed something {ago(max(done), look.at)}"


def handoffs(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.book, Away) or isinstance(look.broker, Away):
        return unknown("it takes both Redis and the ledger to see whether messages arrive")
    if not look.lost:
        return fine(f"every message arrives; {len(look.book.waiting)} decisions wait for their next stage")
    return found(*(_broken(stage, look) for stage in Stage if any(e.next_stage is stage for e in look.lost)))


def _broken(stage: Stage, look: Look) -> Finding:
    lost = [each for each in look.lost if each.next_stage is stage]
    before = next((other for other in Stage if other.next is stage), None)
    path = f"{before} → {stage}" if before else f"enqueueing → {stage}"
    return Finding(
        code=LevelCode.HANDOFF_BROKEN,
        subject=stage.value,
        detail=f"{path}: the messages of {len(lost)} decisions are neither in the queue {stage} nor at a worker",
        evidence=(f"oldest: {_told(lost[0], look)}", listed([each.task_id for each in lost])),
    )


def _told(waiting: Waiting, look: Look) -> str:
    return f"{waiting.decision_id} {waiting.symbol}, {waiting.next_stage} due since {ago(waiting.heard_at, look.at)}"
