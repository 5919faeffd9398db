"""What cannot be meant is refused with what could be: nothing is ignored, and a misspelt name is no empty answer."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from config.home import Home, ensure_home
from config.loading import load
from console.main import application
from console.stories import NotInLedger, story
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.trace import logs
from tests.unit.console.console_worlds import ACCOUNT, SYMBOL, a_decision, enqueue, execute

APP = application()


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of somebody who has executed one decision, and whose processes have ended."""
    home = ensure_home(tmp_path_factory.mktemp("lived_in")).root
    ledger = SqlLedger(load({"THROUGHLINE_HOME": str(home)}).ledger_url)
    ledger.migrate()
    execute(ledger, a_decision())
    ledger.close()
    return home


@pytest.fixture
def home(lived_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, in which the commands work."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    yield shutil.copytree(lived_in, tmp_path / "home")
    logs.unconfigure()


def answered(*arguments: str) -> tuple[int, str]:
    """Exit code, and what was said on both streams."""
    result = CliRunner().invoke(APP, list(arguments), env={"COLUMNS": "300"})
    return result.exit_code, " ".join((result.output + result.stderr).split())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("doctor --security --role nonsense", "market, orders, beat"),
        ("doctor --role beat", "--role belongs to --security"),
        ("doctor BTCUSDT --security", "takes no symbol"),
        ("redis-acl --make", "name --passwords FOLDER"),
        ("redis-acl --output acl", "name --passwords FOLDER"),
        ("redis-acl --passwords there --json", "the ACL file itself"),
        ("rehearse quiet --seconds -1", "greater than or equal to 1"),
        ("rehearse list --seconds 5", "--seconds belongs to `quiet`"),
        ("decisions --symbol FOOUSDT", "neither the ledger nor universe.symbols has 'FOOUSDT'"),
        ("orders --symbol FOOUSDT", "neither the ledger nor universe.symbols has 'FOOUSDT'"),
        ("positions --symbol BTCUSDTT", "did you mean BTC/USDT:USDT?"),
        ("metrics --symbol FOO", "neither the ledger nor universe.symbols has 'FOO'"),
        ("bottlenecks --symbol FOO", "neither the ledger nor universe.symbols has 'FOO'"),
        ("report --account nonesuch", "the ledger has no account 'nonesuch'"),
        ("metrics --since 1h --until 2h", "it ends before it begins"),
        ("health nonsense", "beat, feed, watch, exporter, flower, sim, market, orders"),
        ("kill on --reason ''", "it must say something"),
        ("kill off --reason ' '", "it must say something"),
        ("trading reducing --reason ''", "it must say something"),
        ("rearm DRAWDOWN --reason ''", "it must say something"),
        ("reconcile --accept-balance ''", "it must say something"),
        ("debug on bogus", "ledger, all"),
    ],
)
@pytest.mark.usefixtures("home")
def test_what_cannot_be_meant_is_refused_with_what_could_be(line: str, says: str) -> None:
    """Exit code 0 for a typing error would be taken for an answer."""
    code, said = answered(*shlex.split(line))
    assert (code, says in said) == (2, True), said


@pytest.mark.parametrize(
    "line",
    [
        f"decisions --symbol {SYMBOL}",
        "decisions --symbol ethusdt",
        f"report --account {ACCOUNT}",
        "metrics --symbol BTC/USDT",
        "metrics --since 2h --until 1h",
    ],
)
@pytest.mark.usefixtures("home")
def test_what_is_known_is_answered_though_there_is_nothing_of_it(line: str) -> None:
    """A symbol of the universe that never had a decision is no typing error."""
    assert answered(*line.split())[0] == 0


def test_of_a_symbol_that_left_the_list_the_past_can_be_read(home: Path) -> None:
    """The ledger remembers what the settings do not name any more."""
    ledger = SqlLedger(load().ledger_url)
    enqueue(ledger, a_decision("OLD/USDT:USDT"))
    ledger.close()
    assert answered("decisions", "--symbol", "OLDUSDT")[0] == 0


def test_several_decisions_that_begin_so_are_told_from_none() -> None:
    """The first asks for more letters, the second for another id."""
    ledger = memory_ledger()
    known = [enqueue(ledger, a_decision(f"S{number}/USDT:USDT")).decision_id for number in range(5)]
    with pytest.raises(NotInLedger, match="several decisions answer to 'dec_2'") as several:
        story(ledger, "dec_2")
    assert [each in str(several.value) for each in sorted(known, reverse=True)] == [True] * 3 + [False] * 2
    with pytest.raises(NotInLedger, match="has no decision") as none:
        story(ledger, "dec_3")
    assert "several" not in str(none.value)
    ledger.close()


# ------------------------------------------------------------------------------------------------------- logs


LINES = [
    json.dumps({"event": "SAID", "level": "info", "number": number, "id": "dec_1"}) for number in range(9)
]


@pytest.fixture
def told(home: Path) -> None:
    (Home(home).logs / "all.jsonl").write_text("\n".join(LINES) + "\n")


@pytest.mark.usefixtures("told")
def test_a_story_is_as_short_as_was_asked_for() -> None:
    """Its end is what people look for."""
    assert answered("logs", "dec_1")[1].count("SAID") == len(LINES)
    assert answered("logs", "dec_1", "-n", "2")[1].count("SAID") == 2


@pytest.mark.usefixtures("told")
def test_an_id_without_a_line_is_a_finding() -> None:
    code, said = answered("logs", "nonesuch")
    assert (code, "no line has 'nonesuch'" in said) == (1, True)


@pytest.mark.usefixtures("told")
def test_log_lines_can_be_had_as_they_were_written() -> None:
    result = CliRunner().invoke(APP, ["logs", "dec_1", "-n", "3", "--json"])
    assert result.output.splitlines() == LINES[-3:]


# ------------------------------------------------------------------------------------------------------- runs


@pytest.mark.usefixtures("home")
def test_runs_are_listed_with_their_seconds_and_none_is_said() -> None:
    """A header alone looks like a mistake, microseconds help nobody."""
    assert answered("config", "runs") == (0, "none")
    ledger = SqlLedger(load().ledger_url)
    with ledger.begin() as unit:
        unit.sessions.start(
            session_id="session_1",
            config_hash="0123456789ab",
            account=ACCOUNT,
            mode="paper",
            snapshot={},
            at=a_decision().enqueued_at,
        )
    ledger.close()
    told = answered("config", "runs")[1]
    assert told.endswith("session_1 2026-01-02 03:04:00 paper paper-main 0123456789ab")


READING = (
    "trace", "decisions", "orders", "positions", "status", "health", "doctor", "universe", "metrics", "bottlenecks",
    "report", "logs", "latches", "debug status", "kill status", "config show", "config hash", "config env",
    "config runs", "config diff", "strategies list", "strategies show", "strategies check",
)  # fmt: skip


@pytest.mark.parametrize("name", READING)
def test_every_reading_command_has_json(name: str) -> None:
    """The guide says so, and scripts are written by it."""
    command = typer.main.get_command(APP)
    for word in name.split():
        assert isinstance(command, TyperGroup)
        command = command.commands[word]
    assert "--json" in {option for each in command.params for option in each.opts}
