"""The runbook is made from the code, and current."""

from __future__ import annotations

from pathlib import Path

from pipeline.domain.levels import LevelCode
from pipeline.domain.meanings import MEANINGS, cause_of
from pipeline.watch import reference

PAGE = Path(__file__).parents[3] / "docs" / "watch.md"


def test_every_code_has_its_entry_in_the_runbook() -> None:
    """Run `python -m pipeline.watch.reference docs/watch.md` when this fails."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == reference.renewed(page)
    assert [code for code in LevelCode if f"| `{code}` |" not in page] == []


def test_every_entry_says_what_is_wrong_and_what_to_do() -> None:
    """A code without a next step is only noise."""
    assert [code for code, meaning in MEANINGS.items() if not meaning.says or not meaning.do] == []


def test_no_two_codes_explain_each_other() -> None:
    """Then neither would be told."""
    assert [
        (code, other)
        for code in LevelCode
        for other in MEANINGS[code].explains
        if code in MEANINGS[other].explains or code is other
    ] == []


def test_of_several_causes_the_highest_on_the_ladder_explains() -> None:
    """Redis is gone and beat is mute: Redis it is."""
    standing = {LevelCode.BROKER_DOWN, LevelCode.BEAT_GONE, LevelCode.NO_DECISION}
    assert cause_of(LevelCode.NO_DECISION, standing) is LevelCode.BROKER_DOWN
    assert cause_of(LevelCode.BROKER_DOWN, standing) is None
