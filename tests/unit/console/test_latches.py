"""`latches` and `rearm`: what stays denied, and the person who takes it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config.loading import load
from console.main import application
from pipeline.domain.checks import CheckCode
from pipeline.domain.guards import Breaker, Latch
from pipeline.ledger.sql import SqlLedger
from pipeline.trace import logs

APP = application()

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlLedger]:
    """The ledger of a home in which the commands work."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    assert CliRunner().invoke(APP, ["migrate"]).exit_code == 0
    ledger = SqlLedger(load().ledger_url)
    yield ledger
    ledger.close()
    logs.unconfigure()


def account() -> str:
    return load().account


def trip(ledger: SqlLedger, code: CheckCode = CheckCode.DAILY_LOSS) -> None:
    latch = Latch(
        account=account(),
        code=code,
        tripped=True,
        reason="6 % lost since the day, limit 5 %",
        changed_by="governor",
        changed_at=AT,
    )
    with ledger.begin() as unit:
        assert unit.guards.set_latch(latch)


def shown() -> tuple[int, dict[str, Any]]:
    """Exit code and document of `latches --json`."""
    result = CliRunner().invoke(APP, ["latches", "--json"])
    return result.exit_code, json.loads(result.output)


def test_with_nothing_tripped_there_is_no_finding(ledger: SqlLedger) -> None:
    """A script that asks must not be alarmed."""
    assert shown() == (0, {"latches": [], "breaker": None})
    assert "no latch was ever tripped" in CliRunner().invoke(APP, ["latches"]).output


def test_a_tripped_latch_is_a_finding_with_why_by_whom_and_since_when(ledger: SqlLedger) -> None:
    """The first thing that somebody wants to know who finds that nothing trades."""
    trip(ledger)
    code, told = shown()
    assert code == 1
    assert told["latches"] == [
        {
            "account": account(),
            "code": "DAILY_LOSS",
            "tripped": True,
            "reason": "6 % lost since the day, limit 5 %",
            "changed_by": "governor",
            "changed_at": "2026-03-01T12:00:00.000Z",
        }
    ]
    result = CliRunner().invoke(APP, ["latches"])
    assert result.exit_code == 1
    assert all(word in result.output for word in ("DAILY_LOSS", "tripped", "6 % lost", "governor"))


def test_an_open_breaker_is_a_finding(ledger: SqlLedger) -> None:
    """It denies nothing itself, but something else denies nearly everything."""
    breaker = Breaker(account=account(), reason="NOT_IN_UNIVERSE", detail="0 of 50 symbols", opened_at=AT)
    with ledger.begin() as unit:
        unit.guards.open_breaker(breaker)
    code, told = shown()
    assert code == 1
    assert told["breaker"]["detail"] == "0 of 50 symbols"
    assert "0 of 50 symbols" in CliRunner().invoke(APP, ["latches"]).output


def test_rearming_takes_one_latch_back_and_keeps_who_and_why(ledger: SqlLedger) -> None:
    """The other one stays; a second time there is nothing to take back, and the exit code says so."""
    trip(ledger)
    trip(ledger, CheckCode.DRAWDOWN)
    rearm = ["rearm", "daily_loss", "--reason", "a bad fill, looked at"]
    assert [CliRunner().invoke(APP, rearm).exit_code for _ in range(2)] == [0, 1]
    with ledger.read() as unit:
        latches = {each.code: each for each in unit.guards.latches(account())}
    assert {code for code, each in latches.items() if each.tripped} == {CheckCode.DRAWDOWN}
    assert latches[CheckCode.DAILY_LOSS].reason == "a bad fill, looked at"
    assert "command line" in latches[CheckCode.DAILY_LOSS].changed_by
    assert shown()[0] == 1
    assert CliRunner().invoke(APP, ["rearm", "DRAWDOWN", "--reason", "accepted"]).exit_code == 0
    assert shown()[0] == 0


@pytest.mark.parametrize("arguments", [["DAILY_LOSS"], ["RATE", "--reason", "x"], ["--reason", "x"]])
def test_without_a_reason_or_of_another_rule_nothing_is_rearmed(
    ledger: SqlLedger, arguments: list[str]
) -> None:
    """Whoever lets it trade again says why."""
    trip(ledger)
    assert CliRunner().invoke(APP, ["rearm", *arguments]).exit_code == 2
    with ledger.read() as unit:
        assert [each.tripped for each in unit.guards.latches(account())] == [True]
