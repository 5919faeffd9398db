"""Tables for machines in a pipe, arguments for people, and failures in a few lines."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from config.sections.processes import RedisSettings
from config.settings import Settings
from console import failures, roles
from console.commands import doctor as doctor_command
from console.commands import feed as feed_command
from console.commands import roles as roles_commands
from console.commands.options import choice, instant
from console.output import print_json, print_table, table
from console.records import tell_without_redis
from console.supervise.programs import Role
from pipeline.domain.errors import ConfigError, ExchangeUnavailable, LedgerUnavailable
from pipeline.exchange.budget.ports import UNASKED, Held
from pipeline.trace import logs
from tasks.policies import QUEUES


def test_a_table_in_a_pipe_has_plain_columns() -> None:
    """It goes into `awk` and `grep`: no frames, no colours, no line broken or cut."""
    out = io.StringIO()
    wide = "x" * 300
    print_table(table(("name", "count"), [("[bold]a[/]", 1), (wide, 20)], right=("count",)), out)
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["name", "count"]
    assert lines[1].split() == ["a", "1"]
    assert lines[2].split() == [wide, "20"]
    assert len(lines) == 3


def test_json_is_printed_as_it_is_whatever_the_width(capsys: pytest.CaptureFixture[str]) -> None:
    """Others parse it: a wrapped or coloured document is none."""
    print_json([{"detail": "é" * 500, "at": datetime(2026, 1, 2, tzinfo=UTC)}])
    assert json.loads(capsys.readouterr().out)[0]["detail"] == "é" * 500


def test_a_config_error_says_what_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, a few lines, no stack trace."""
    code = failures.explain(ConfigError("port 1 is in use", where="redis.port", remedy="set another"))
    said = capsys.readouterr().err
    assert code == failures.USAGE
    assert [part in said for part in ("port 1 is in use", "redis.port", "set another")] == [True] * 3
    assert "Traceback" not in said


def test_a_ledger_that_cannot_be_reached_is_no_stack_trace_either(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the machine that is wrong, not the program."""
    assert failures.explain(LedgerUnavailable("cannot connect to db")) == failures.USAGE
    assert "THROUGHLINE_LEDGER_URL" in capsys.readouterr().err


def test_a_request_held_back_for_want_of_redis_sends_nobody_to_the_exchange(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`reconcile` before `up`: what is missing is Redis, with the rate budget in it."""
    failures.explain(ExchangeUnavailable(f"instruments: {Held(f'{UNASKED}: Connection refused', 1.0)}"))
    assert failures.NO_REDIS in capsys.readouterr().err
    failures.explain(ExchangeUnavailable("instruments: Connection refused"))
    assert failures.NO_REDIS not in capsys.readouterr().err


def test_whoever_waits_for_redis_says_so_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Celery waits a minute before its first word, and so does whoever started it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        tell_without_redis(Settings(redis=RedisSettings(url=f"redis://127.0.0.1:{taken.getsockname()[1]}/0")))
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("Redis does not answer, waiting for it: ")
    assert said.endswith(failures.NO_REDIS)


@pytest.mark.parametrize(
    "start", [roles_commands.beat, lambda: roles_commands.worker("fetch"), feed_command.feed]
)
def test_beat_worker_and_feed_look_for_redis_first(
    start: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them may be the first that somebody starts."""

    class Looked(Exception):
        """They got this far."""

    def look(_settings: Settings) -> None:
        raise Looked

    monkeypatch.setattr(roles_commands, "tell_without_redis", look)
    monkeypatch.setattr(feed_command, "tell_without_redis", look)
    with pytest.raises(Looked):
        start()


def test_the_doctor_before_the_first_start_prints_no_line_of_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says itself what is wrong, in its ladder."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "unused"))
    logs.unconfigure()  # as in a fresh process, with the stderr of now

    def examined(_looker: object) -> object:
        logs.writer().write("error", "RATE_BUDGET", {})
        return SimpleNamespace(is_well=True)

    monkeypatch.setattr(doctor_command, "examine", examined)
    monkeypatch.setattr(doctor_command, "_say", lambda *_, as_json: None)
    doctor_command.doctor()
    assert capsys.readouterr().err == ""
    logs.unconfigure()


def test_a_bug_says_where_its_full_trace_was_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People send us that file."""
    try:
        raise RuntimeError("broken inside")
    except RuntimeError as error:
        code = failures.explain(error)
    said = capsys.readouterr().err
    (written,) = (home / "logs").glob("*.log")
    assert code == failures.FINDING
    assert str(written) in said.replace("\n", "")
    assert "Traceback" not in said
    assert "RuntimeError: broken inside" in written.read_text()


def test_since_takes_an_age_or_a_time() -> None:
    """`10m` is what one types, ISO 8601 is what one pastes."""
    assert abs(datetime.now(UTC) - timedelta(minutes=10) - (instant("10m") or datetime.now(UTC))) < timedelta(
        seconds=5
    )
    assert instant("2026-01-31T10:15:00Z") == datetime(2026, 1, 31, 10, 15, tzinfo=UTC)
    assert instant("2026-01-31T10:15") == datetime(2026, 1, 31, 10, 15, tzinfo=UTC)
    assert instant("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert instant("2026-01-31T10:15:00+02:00") == datetime(2026, 1, 31, 8, 15, tzinfo=UTC)
    with pytest.raises(typer.BadParameter, match="3x"):
        instant("3x")


def test_a_word_that_is_not_in_a_list_is_answered_with_the_list() -> None:
    """A filter that silently finds nothing would look like "there were none"."""
    assert choice("FILLED", ["filled", "open"], "state") == "filled"
    with pytest.raises(typer.BadParameter, match="filled, open"):
        choice("fild", ["filled", "open"], "state")


def test_up_serves_every_queue_exactly_once() -> None:
    """A queue that nobody serves is a hand-off into nothing."""
    served = [queue for queues in roles.QUEUES_OF.values() for queue in queues]
    assert sorted(served) == sorted(QUEUES)
    assert sorted(roles.QUEUES) == sorted(QUEUES)
    assert {Role.WORKER_MARKET.worker, Role.WORKER_ORDERS.worker} == set(roles.QUEUES_OF)
