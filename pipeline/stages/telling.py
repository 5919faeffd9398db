"""How a stage ended, in the words of its one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.domain import timing
from pipeline.domain.decisions import Advance, End, Stage, StageEnd, StageResult
from pipeline.domain.events import EventName, Events

LONGEST = 300
"""Characters of a summary; the whole of a long detail stands in DECISION_END and in the ledger."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Above how many milliseconds a stage, or a message's way to it, is slow; 0 never is."""

    queue_wait_ms: float = 0.0
    stages_ms: Mapping[Stage, float] = field(default_factory=dict)


def tell_slowness(
    events: Events, thresholds: Thresholds, stage: Stage, queue_wait_ms: float | None, run_ms: float
) -> None:
    """SLOW for each threshold that was exceeded, with the part that took most of the time."""
    limit_ms = thresholds.stages_ms.get(stage, 0.0)
    if 0 < limit_ms < run_ms:
        parts = timing.so_far()
        slowest = timing.slowest(parts, run_ms)
        what = f"the stage {stage}"
        events.emit(EventName.SLOW, what=what, ms=run_ms, limit_ms=limit_ms, part=slowest, parts=parts)
    limit_ms = thresholds.queue_wait_ms
    if queue_wait_ms is not None and 0 < limit_ms < queue_wait_ms:
        what, parts = f"a message for {stage}", {"queue": queue_wait_ms}
        events.emit(EventName.SLOW, what=what, ms=queue_wait_ms, limit_ms=limit_ms, part="queue", parts=parts)


def in_words(stage: Stage, finish: StageEnd) -> dict[str, object]:
    """The fields `result` and `summary`, with `next` when the decision goes on and `reason` when it has ended."""
    match finish:
        case End(reason, detail):
            return {"result": StageResult.ENDED.value, "reason": reason.value, "summary": detail[:LONGEST]}
        case Advance(output):
            after = stage.next
            going_on = {"next": after.value} if after is not None else {}
            return {"result": StageResult.PASSED.value, **going_on, "summary": _handed_on(output)[:LONGEST]}
        case _:
            return {"result": "unresolved", "summary": finish.detail[:LONGEST]}


def _handed_on(output: Mapping[str, object]) -> str:
    """What the next stage gets, by what the stage stored for it."""
    match output:
        case {"ranges": list(ranges)}:
            return " ".join(_range(each) for each in ranges)
        case {"intent": {"side": side, "qty": qty, "limit_price": price, "strategy": strategy}}:
            return f"{side} {qty} at {price}, wanted by {strategy}"
        case {"permit_id": permit_id}:
            return f"permit {permit_id}"
        case _:
            return "concluded by another delivery"


def _range(told: Mapping[str, object]) -> str:
    return f"{told.get('timeframe')}={told.get('count')} bars to {told.get('last_open')}"
