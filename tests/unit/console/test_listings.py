"""Lists: whole in a pipe, and on a terminal without cutting what people copy."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from config.loading import load
from console.commands import reading, redis_acl, settings
from console.output import RULE_WIDTH, console, print_json, print_table, rule, show, table
from console.records import Book
from console.render import values as v
from pipeline.domain.outcomes import EndReason
from pipeline.ledger.memory import memory_ledger
from tests.unit.console.console_worlds import a_decision, end, enqueue, execute

LONG = "the exchange answered slowly: " + "and again " * 20 + "at last"


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """Without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.getvalue()).splitlines()


Terminals = Callable[[int], Terminal]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminals:
    """Stdout is a terminal of so many columns from here on."""

    def of(width: int) -> Terminal:
        made = Terminal()
        monkeypatch.setattr(sys, "stdout", made)
        monkeypatch.setenv("COLUMNS", str(width))
        return made

    return of


@pytest.fixture
def ids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands read a ledger with one executed and one waiting decision: the ids that people copy."""
    ledger = memory_ledger()
    waits = enqueue(ledger, a_decision("ETH/USDT:USDT", 30.0))
    end(ledger, waits, EndReason.NO_SIGNAL, 0.03)
    client_order_id = execute(ledger, a_decision())
    monkeypatch.setattr(reading, "opened", lambda: Book(load({}), ledger))
    return [a_decision().decision_id, waits.decision_id, client_order_id]


def test_eighty_columns_show_ids_outcomes_and_reasons_whole(terminal: Terminals, ids: list[str]) -> None:
    """An id that is cut cannot be given to `trace`, and a reason without its end says nothing."""
    shown = terminal(80)
    reading.decisions()
    (executed,) = [line for line in shown.lines() if "BTC/USDT:USDT" in line]
    (waited,) = [line for line in shown.lines() if "ETH/USDT:USDT" in line]
    assert [word in executed for word in (ids[0], "executed", "FILLED")] == [True] * 3
    assert [word in waited for word in (ids[1], "no_signal", "NO_SIGNAL")] == [True] * 3
    assert max(map(len, shown.lines())) <= 80


def test_what_a_narrow_terminal_leaves_out_is_named(terminal: Terminals, ids: list[str]) -> None:
    """Nobody should believe that there was no more to see; and with room it is all there."""
    narrow = terminal(80)
    reading.orders()
    assert ids[2] in narrow.getvalue()
    assert "this terminal is too narrow for: created, leg, price" in " ".join(narrow.lines())
    wide = terminal(200)
    reading.orders()
    assert "too narrow" not in wide.getvalue()
    assert [f"{ids[2]}  BTC/USDT:USDT  entry 1" in line for line in wide.lines()].count(True) == 1


def test_what_may_not_be_cut_makes_lines_longer_than_the_terminal(terminal: Terminals) -> None:
    """Two ids do not fit into a small window: the terminal breaks the line, and both can be copied."""
    shown = terminal(50)
    print_table(table(("order", "decision"), [("o" * 32, "d" * 32)], gives=()))
    assert f"{'o' * 32}  {'d' * 32}" in shown.lines()


def test_the_column_that_gives_way_wraps_and_loses_no_word(terminal: Terminals) -> None:
    """It is the one that people read, so it may take several lines."""
    shown = terminal(60)
    print_table(table(("name", "why"), [("BTC/USDT:USDT", LONG)]))
    words = " ".join(shown.lines()[2:]).split()
    assert words == ["BTC/USDT:USDT", *LONG.split()]
    assert max(map(len, shown.lines())) <= 60


def test_in_a_pipe_a_record_is_one_line_and_every_column_has_something(
    ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`awk -F '  +'` counts columns: an empty cell would move all that follow."""
    reading.decisions()
    head, *records = capsys.readouterr().out.splitlines()
    assert len(records) == 2
    assert {len(re.split(r"  +", line)) for line in (head, *records)} == {7}
    print_table(table(("a", "b", "c"), [(None, "two\n lines", "")]))
    assert capsys.readouterr().out.splitlines()[1].split("  ") == ["-", "two lines", "-"]


def test_in_a_pipe_no_detail_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever greps for the end of a message finds it; a stack trace begins with what happened."""
    assert v.first_line(LONG, 40) == LONG
    assert v.first_line("Traceback:\n  at x\nValueError: no bars") == "ValueError: no bars Traceback: at x"
    console().print(LONG * 10)
    show(LONG * 10)
    assert capsys.readouterr().out == f"{LONG * 10}\n" * 2


def test_on_a_terminal_a_detail_is_short_and_today_has_no_date(terminal: Terminals) -> None:
    """There every column counts; of another day the date says which."""
    terminal(80)
    assert v.first_line(LONG, 20) == LONG[:19] + "…"
    now = datetime.now(UTC)
    assert v.lately(now.isoformat()) == f"{now:%H:%M:%S}"
    assert v.lately("2026-01-02T03:04:05Z") == "2026-01-02 03:04:05"


def test_names_with_colons_are_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys of `redis-acl` are copied into other files, and a reason is what somebody wrote."""
    redis_acl.redis_acl()
    assert "tl:watch:*" in capsys.readouterr().out
    console().print("because :fire:")
    assert capsys.readouterr().out == "because :fire:\n"


def test_settings_are_listed_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """A list of twenty symbols is one value of one key."""
    settings.show()
    (symbols,) = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("universe.symbols ")
    ]
    assert "BTC/USDT:USDT" in symbols
    assert symbols.endswith("]")


def test_json_loses_no_letter_where_the_encoding_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program reads it: a question mark in the place of a letter would be another value."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="latin-1", errors="replace"))
    print_json({"reason": "→ ok"})
    sys.stdout.flush()
    assert json.loads(out.getvalue()) == {"reason": "→ ok"}


def test_a_line_across_is_as_wide_as_the_terminal_and_no_wider_than_a_page_in_a_pipe(
    terminal: Terminals, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is cut in a pipe because it has no width: a line across would fill megabytes."""
    rule(console(), "the story")
    assert len(capsys.readouterr().out.strip()) <= RULE_WIDTH
    screen = terminal(60)
    rule(console())
    assert len(screen.lines()[0]) == 60
