"""Tables for machines in a pipe, arguments for people, and failures in a few lines."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from console import failures, roles
from console.commands.options import choice, instant
from console.output import print_json, print_table, table
from console.supervise.programs import Role
from pipeline.domain.errors import ConfigError, LedgerUnavailable
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
