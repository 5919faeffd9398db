"""`throughline universe`: the version that decisions name, and what would be made now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config.loading import load
from console.main import application
from pipeline.bootstrap import Pipeline, build
from pipeline.domain.errors import ExchangeUnavailable
from tests.support.processes import free_port

APP = application()

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


@pytest.fixture
def home(simulator_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that trades two symbols of a simulated exchange, and asks for one that there is not."""
    monkeypatch.setenv("THROUGHLINE_REDIS_URL", redis_url)
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THROUGHLINE_SIMULATOR_URL", simulator_url)
    monkeypatch.setenv("TRADING_SYMBOLS", "BTCUSDT,ETHUSDT,BTCUSTD")
    return tmp_path / "home"


@pytest.fixture
def pipeline(home: Path) -> Iterator[Pipeline]:
    """A pipeline whose ledger holds a version in force."""
    assert CliRunner().invoke(APP, ["migrate"]).exit_code == 0
    pipeline = build(load())
    pipeline.universe_keeper.check()
    yield pipeline
    pipeline.ledger.close()


def shown() -> tuple[int, dict[str, Any]]:
    """Exit code and document of `universe --json`."""
    result = CliRunner().invoke(APP, ["universe", "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def nothing_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is not there either."""
    monkeypatch.setenv("THROUGHLINE_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")


@pytest.mark.usefixtures("nothing_runs")
def test_before_there_is_a_ledger_it_says_what_would_be_made(home: Path) -> None:
    """Whoever sets it up wants to know before the first start, and reads that the rate budget was not asked."""
    code, told = shown()
    assert (code, told["in_force"], told["symbols"]) == (1, False, [BTC, ETH])
    result = CliRunner().invoke(APP, ["universe"])
    assert "no process has put in force" in result.stdout
    assert "without the rate budget" in result.stderr
    assert not list(home.rglob("*.sqlite3"))


@pytest.mark.usefixtures("nothing_runs")
def test_a_process_that_trades_asks_nothing_without_the_rate_budget(home: Path) -> None:
    """The person's question is the exception; the same look of a worker is held back."""
    with pytest.raises(ExchangeUnavailable, match="the rate budget cannot be asked"):
        build(load()).universe_report()


def test_a_redis_that_refuses_us_still_holds_the_question_back(
    home: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may be at work with it: who cannot ask must not use up what they count on."""
    monkeypatch.setenv("THROUGHLINE_REDIS_URL", redis_url.replace("//", "//nobody:wrong@"))
    result = CliRunner().invoke(APP, ["universe"])
    assert isinstance(result.exception, ExchangeUnavailable)
    assert "the rate budget cannot be asked" in str(result.exception)


def test_it_shows_the_version_that_decisions_name(pipeline: Pipeline) -> None:
    """With each name, why it is in or out, and the nearest spelling of what the exchange does not know."""
    code, told = shown()
    assert (code, told["in_force"]) == (1, True)
    assert told["version"] == pipeline.universe().version
    assert {each["name"]: each["standing"] for each in told["listings"]} == {
        "BTCUSDT": "in",
        "ETHUSDT": "in",
        "BTCUSTD": "unknown",
    }
    assert BTC in told["listings"][2]["detail"]
    assert told["differences"] == {}


def test_other_names_than_those_in_force_are_told_with_what_would_change(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changed the list, and wonders why it is not traded yet."""
    before = pipeline.universe().version
    monkeypatch.setenv("TRADING_SYMBOLS", "BTCUSDT,SOLUSDT")
    code, told = shown()
    assert code == 1
    assert (told["version"], told["symbols"]) == (before, [BTC, ETH])
    assert told["now"]["symbols"] == [BTC, "SOL/USDT:USDT"]
    assert told["differences"] == {
        "SOL/USDT:USDT": "goes in: active on the exchange",
        ETH: "goes out: nobody asks for it any more",
    }
    text = CliRunner().invoke(APP, ["universe"]).output
    assert f"version {before}, in force, last checked" in text
    assert f"made now it would be version {told['now']['version']}" in text
    assert f"{ETH} goes out: nobody asks for it any more" in text


def test_a_universe_without_a_finding_exits_with_0(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All names in, and nothing would change."""
    monkeypatch.setenv("TRADING_SYMBOLS", "BTCUSDT,ETHUSDT")
    assert shown()[0] == 1, "the version in force still has a name that is out"
    build(load()).universe_keeper.check()
    assert shown()[0] == 0


def test_without_the_exchange_the_version_in_force_is_still_shown(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the ledger; only the comparison is missing, and says so."""
    monkeypatch.setenv("THROUGHLINE_SIMULATOR_URL", f"http://127.0.0.1:{free_port()}")
    _, told = shown()
    assert (told["version"], told["now"]) == (pipeline.universe().version, None)
    assert told["unknown_now"]
    assert "what would be made now is unknown" in CliRunner().invoke(APP, ["universe"]).output
