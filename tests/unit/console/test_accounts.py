"""After a run in mode paper its account is still the one that commands are about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.home import ensure_home
from config.loading import load
from console.accounts import settings_of_account
from console.main import application
from pipeline.domain.decisions import Mode
from pipeline.domain.switches import TradingState
from pipeline.ledger.sql import SqlLedger
from pipeline.trace import logs
from tests.unit.console.console_worlds import AT, a_decision, execute, later

APP = application(["status", "positions", "latches", "trading"])
ENDED = "paper-main-20260102030400"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of somebody who had two runs in mode paper, of which the newer was trading."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    root = ensure_home(tmp_path / "home").root
    ledger = SqlLedger(load().ledger_url)
    ledger.migrate()
    begin(ledger, "paper-main-20260102000000", after_s=-60)
    begin(ledger, ENDED)
    with ledger.begin() as unit:
        unit.switches.set_trading_state(ENDED, TradingState.ACTIVE, by="up", reason="first start", at=AT)
    ledger.close()
    yield root
    logs.unconfigure()


def begin(ledger: SqlLedger, account: str, mode: Mode = Mode.PAPER, after_s: float = 0.0) -> None:
    with ledger.begin() as unit:
        unit.sessions.start(
            session_id=f"session_{account}",
            config_hash="0123456789ab",
            account=account,
            mode=mode,
            snapshot={},
            at=later(after_s),
        )


def status() -> tuple[dict[str, object], str]:
    """The document, and what stderr said."""
    result = CliRunner().invoke(APP, ["status", "--json"])
    told: dict[str, object] = json.loads(result.stdout)
    return told, result.stderr


@pytest.mark.usefixtures("home")
def test_after_its_end_the_newest_runs_account_is_shown_and_said() -> None:
    """`positions` showed seven open ones, and `status` an account that never was, halted, with none."""
    told, said = status()
    assert (told["account"], told["trading"]) == (ENDED, "ACTIVE")
    assert f"{ENDED} is the account of its newest run" in " ".join(said.split())


@pytest.mark.usefixtures("home")
def test_what_is_changed_then_is_what_is_shown() -> None:
    """A remedy must act on the account whose trouble it was named for."""
    assert CliRunner().invoke(APP, ["trading", "halted", "--reason", "x"]).exit_code == 0
    assert status()[0]["trading"] == "HALTED"
    assert CliRunner().invoke(APP, ["latches"]).exit_code == 0


@pytest.mark.usefixtures("home")
def test_an_account_that_was_configured_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ran last."""
    monkeypatch.setenv("THROUGHLINE_EXCHANGE_ACCOUNT", "mine")
    told, said = status()
    assert (told["account"], said) == ("paper-mine", "")


def test_positions_are_those_of_the_account_that_status_is_about(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each other's neighbours on the screen must not speak of two accounts."""
    ledger = SqlLedger(load().ledger_url)
    execute(ledger, a_decision())  # of paper-main, which is not the newest run's
    ledger.close()
    counted = [(status()[0]["open_positions"], positions())]
    monkeypatch.setenv("THROUGHLINE_EXCHANGE_ACCOUNT", "main")
    counted.append((status()[0]["open_positions"], positions()))
    assert counted == [(0, 0), (1, 1)]


def positions() -> int:
    return len(json.loads(CliRunner().invoke(APP, ["positions", "--json"]).stdout))


def test_while_something_runs_its_account_is_meant(home: Path) -> None:
    """Also when another host has started a newer one."""
    (home / "session.yaml").write_text("exchange: {account: main-of-this-run}\n")
    assert status()[0]["account"] == "paper-main-of-this-run"


@pytest.mark.usefixtures("home")
def test_a_run_in_another_mode_says_nothing_about_this_one() -> None:
    """Real money's account never stands where paper's is asked for."""
    ledger = SqlLedger(load().ledger_url)
    begin(ledger, "live-main", Mode.LIVE, after_s=60)
    ledger.close()
    assert settings_of_account().account == "paper-main"


def test_without_a_ledger_it_is_the_configured_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor has to say that there is none; nothing is created by asking."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "nowhere"))
    assert settings_of_account().account == "paper-main"
    assert not (tmp_path / "nowhere").exists()
