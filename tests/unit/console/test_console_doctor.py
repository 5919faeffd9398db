"""What the doctor and the status say to people."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console, Group

from console.commands.status import _lines as status_lines
from console.condition import Condition
from console.render.doctor import render_diagnosis
from pipeline.domain.levels import Level, LevelCode, Severity
from pipeline.domain.meanings import by_cause
from pipeline.domain.switches import TradingState
from pipeline.watch.doctor import Diagnosis
from tests.unit.watch.looks import ACCOUNT, BTC, ETH, NOW, a_book, ago, changed, ladder


def drawn(*renderables: object) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(*renderables)
    return out.getvalue()


def diagnosed(**changes: object) -> Diagnosis:
    checked = ladder(**changes)
    found = [finding for each in checked for finding in each.answer.findings]
    return Diagnosis(NOW, ACCOUNT, checked, by_cause(found))


def test_the_first_cause_stands_below_the_ladder_with_what_to_do() -> None:
    """Whoever is woken at night reads the last lines."""
    silent = a_book(last_finished={BTC: ago(300), ETH: ago(300)})
    *_, cause, seen, so, consequences = (
        drawn(render_diagnosis(diagnosed(pulses=changed(1, beat_at=ago(30)), book=silent)))
        .strip()
        .splitlines()
    )
    assert cause.startswith("BEAT_GONE (critical)")
    assert "fell silent 30 s ago" in seen
    assert "start `throughline beat`" in so
    assert consequences == "its consequences: NO_DECISION"


def test_where_all_is_well_it_says_so() -> None:
    assert "nothing is wrong on paper-main" in drawn(render_diagnosis(diagnosed()))


def test_two_troubles_of_their_own_are_both_told() -> None:
    """The second must not hide behind the first."""
    said = drawn(
        render_diagnosis(diagnosed(pulses=changed(1, beat_at=ago(30)), book=a_book(failing={"x": (3, "e")})))
    )
    assert "also  STRATEGY_FAILS" in said


LEVEL = Level(
    account=ACCOUNT,
    code=LevelCode.BEAT_GONE,
    subject="",
    severity=Severity.CRITICAL,
    detail="no [beat] lives",
    since=ago(300),
    seen_at=NOW,
)


def a_condition(*levels: Level) -> Condition:
    return Condition(
        at=NOW,
        account=ACCOUNT,
        processes=None,
        queues={},
        decisions={},
        decisions_last_hour={},
        equity=None,
        open_positions=0,
        switches=(),
        trading=TradingState.ACTIVE,
        levels=levels,
        watched_at=None,
    )


def test_status_has_the_loudest_cause_on_top_and_since_when() -> None:
    """The first line is the one that is read."""
    consequence = replace(LEVEL, code=LevelCode.NO_DECISION, cause=LevelCode.BEAT_GONE)
    first, second, *rest = drawn(Group(*status_lines(a_condition(LEVEL, consequence)))).splitlines()
    assert "BEAT_GONE since 11:55:00: no [beat] lives" in first
    assert "NO_DECISION since 11:55:00, by BEAT_GONE" in second
    assert "no watchdog lives" in "\n".join(rest)


def test_a_notice_is_no_finding_of_status() -> None:
    """Its exit code must not cry wolf."""
    notice = replace(LEVEL, code=LevelCode.NO_SIGNAL, severity=Severity.NOTICE)
    assert not [each for each in a_condition(notice).findings(60) if "NO_SIGNAL" in each]
    assert [each for each in a_condition(LEVEL).findings(60) if "BEAT_GONE" in each]
