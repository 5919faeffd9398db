"""How a stage ended, in the words of its one line."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.domain.decisions import Advance, End, Stage, StageEnd, StageResult

LONGEST = 300
"""Characters of a summary; the whole of a long detail stands in DECISION_END and in the ledger."""


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
