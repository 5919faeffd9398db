"""What the ladder says where nothing is found: its words and its numbers agree."""

from __future__ import annotations

import pytest

from pipeline.domain.levels import LevelCode
from pipeline.domain.outcomes import EndReason
from pipeline.domain.switches import KillScope, KillSwitch
from pipeline.watch.checks import Status
from tests.unit.watch.looks import BTC, a_book, a_group, ago, detail_of, ladder


def answer(check: str, **changes: object) -> tuple[Status, str]:
    (told,) = [each.answer for each in ladder(**changes) if each.check.name == check]
    return told.status, told.detail


def test_an_entry_that_nobody_filled_is_not_said_to_be_counted() -> None:
    """It has expired: who reads that none did looks for the number that was forgotten."""
    ended = [a_group(EndReason.NO_SIGNAL, 44), a_group(EndReason.UNFILLED, 1)]
    status, said = answer("failures", book=a_book(ended=ended))
    assert status is Status.OK
    assert "0 of 45 decisions" in said
    assert "expired" not in said


@pytest.mark.parametrize(
    ("check", "book"),
    [
        ("failures", a_book(ended=[a_group(EndReason.STAGE_RAISED, 1)])),
        ("candles", a_book(ended=[a_group(EndReason.STALE_CANDLES, 2)])),
        ("refused orders", a_book(orders={"REJECTED": 1})),
    ],
)
def test_all_that_went_wrong_is_fine_only_with_a_reason(check: str, book: object) -> None:
    """`ok: 1 of 1 failed` is no answer."""
    status, said = answer(check, book=book)
    assert status is Status.OK
    assert said.endswith("fewer than 3 prove nothing")


def test_a_switch_is_named_with_single_blanks() -> None:
    """The global one has no name of its own."""
    switch = KillSwitch(scope=KillScope.GLOBAL, name="", reason="news", set_by="me", set_at=ago(100))
    said = detail_of(LevelCode.KILL_SWITCH_ON, ladder(book=a_book(switches=[switch])))
    assert said.startswith("the global kill switch is on since")
    one = KillSwitch(scope=KillScope.SYMBOL, name=BTC, reason="news", set_by="me", set_at=ago(100))
    assert one.title == f"symbol kill switch {BTC}"


def test_one_host_lives_in_the_singular() -> None:
    assert answer("hosts") == (Status.OK, "alpha lives")
