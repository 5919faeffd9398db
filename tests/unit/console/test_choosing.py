"""Strategies that nobody knows are told before anything is started, with the line that names them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.loading import read
from console.choosing import require_strategies
from console.main import application
from pipeline.domain.errors import ConfigError

APP = application(["up", "demo", "worker", "strategies"])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of somebody whose home does not exist yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    return tmp_path / "throughline.yaml"


@pytest.mark.parametrize("command", [["up"], ["demo"], ["worker", "--queues", "fetch,evaluate"]])
def test_a_misspelt_strategy_stops_the_start_before_anything_was_made(file: Path, command: list[str]) -> None:
    """The line is what people look for, and nothing has to be ended or removed."""
    file.write_text("strategies:\n  enabled: [trend_folow]\n")
    refused = CliRunner().invoke(APP, command).exception
    assert isinstance(refused, ConfigError)
    assert refused.where == f"{file}, line 2: strategies.enabled"
    assert refused.what == "there is no strategy called 'trend_folow'."
    assert "Did you mean trend_follow? Known are adaptive_ob" in refused.remedy
    assert not (file.parent / "home").exists()


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("strategies:\n  params: {trend: {}}\n", "line 2: strategies.params", "called 'trend'"),
        (
            "strategies:\n\n  params: {trend_follow: {fsat: 3}}\n",
            "line 3: strategies.params.trend_follow.fsat",
            "no such parameter",
        ),
        ("strategies:\n  folder: nowhere\n", "line 2: strategies.folder", "not a folder"),
        ("strategies:\n  enabled: []\n", "line 2: strategies.enabled", "no strategy can be used"),
        ("market:\n  bars: 50\n", "line 2: market.bars", "too few"),
    ],
)
def test_whatever_keeps_strategies_from_running_is_told_with_its_line(
    file: Path, text: str, where: str, says: str
) -> None:
    """A key alone may stand in four places."""
    file.write_text(text)
    with pytest.raises(ConfigError, match=says) as refused:
        require_strategies(read())
    assert refused.value.where == f"{file}, {where}"


def test_all_that_is_wrong_is_told_at_once(file: Path) -> None:
    """Who mends one line at a time starts five times."""
    file.write_text("strategies:\n  enabled: [trend_folow, adaptive_ob]\n  params: {adaptive_ob: {x: 1}}\n")
    with pytest.raises(
        ConfigError, match=r"2 problems:\n.*line 2.*'trend_folow'.*\n.*line 3.*adaptive_ob\.x"
    ):
        require_strategies(read())


def test_the_variable_is_named_where_it_said_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_STRATEGIES_ENABLED", "bogus")
    with pytest.raises(ConfigError, match=r"variable THROUGHLINE_STRATEGIES_ENABLED: strategies\.enabled"):
        require_strategies(read())


def test_the_list_says_what_the_settings_have_wrong(file: Path) -> None:
    """A table in which nothing runs does not say why."""
    file.write_text("strategies:\n  enabled: [trend_folow]\n")
    listed = CliRunner().invoke(APP, ["strategies", "list"])
    assert listed.exit_code == 1
    assert (
        f"wrong: {file}, line 2: strategies.enabled: there is no strategy called 'trend_folow'"
        in listed.output
    )
    told = json.loads(CliRunner().invoke(APP, ["strategies", "list", "--json"]).output)
    assert [each["where"] for each in told["wrong"]] == [f"{file}, line 2: strategies.enabled"]


def test_a_name_that_was_typed_is_no_fault_of_the_settings(file: Path) -> None:
    """Its place is the command line."""
    refused = CliRunner().invoke(APP, ["strategies", "show", "trend_folow"]).exception
    assert isinstance(refused, ConfigError)
    assert refused.where == ""
