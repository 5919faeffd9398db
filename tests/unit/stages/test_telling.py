"""A stage's one line tells its whole story."""

from __future__ import annotations

import pytest

from pipeline.domain.decisions import Advance, End, Stage, StageEnd, Unresolved
from pipeline.domain.outcomes import EndReason
from pipeline.stages.telling import in_words

RANGE = {"timeframe": "30m", "count": 200, "last_open": "2026-01-02T03:00:00.000Z"}
INTENT = {"side": "buy", "qty": "0.5", "limit_price": "60000", "strategy": "adaptive_ob"}


@pytest.mark.parametrize(
    ("stage", "finish", "told"),
    [
        (
            Stage.FETCH,
            Advance({"ranges": [RANGE], "bars": "f00"}),
            {"result": "passed", "next": "evaluate", "summary": "30m=200 bars to 2026-01-02T03:00:00.000Z"},
        ),
        (
            Stage.EVALUATE,
            Advance({"intent": INTENT}),
            {"result": "passed", "next": "validate", "summary": "buy 0.5 at 60000, wanted by adaptive_ob"},
        ),
        (
            Stage.VALIDATE,
            Advance({"permit_id": "p1"}),
            {"result": "passed", "next": "execute", "summary": "permit p1"},
        ),
        (
            Stage.EVALUATE,
            End(EndReason.NO_SIGNAL, "rsi 41"),
            {"result": "ended", "reason": "NO_SIGNAL", "summary": "rsi 41"},
        ),
        (Stage.EXECUTE, Unresolved("no answer"), {"result": "unresolved", "summary": "no answer"}),
    ],
)
def test_the_line_says_how_it_ended_and_what_goes_on(
    stage: Stage, finish: StageEnd, told: dict[str, object]
) -> None:
    """Reading on in other lines is for the curious, not for the operator."""
    assert in_words(stage, finish) == told


def test_a_long_story_is_cut() -> None:
    """A line must stay a line; the ledger has the rest."""
    assert len(str(in_words(Stage.EXECUTE, End(EndReason.UNFILLED, "x" * 9000))["summary"])) == 300
