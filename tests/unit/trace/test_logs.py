"""Every record of a process, as JSON lines that one id finds again."""

from __future__ import annotations

import json
import logging
import stat
import sys
import threading
import warnings
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import structlog

from pipeline.domain.decisions import Stage
from pipeline.domain.events import EventName, Events, Level
from pipeline.trace import context, logfile, logs
from pipeline.trace.events import LoggedEvents, RecordedEvents
from tests.unit.trace.conftest import Configure

EVENTS: tuple[Events, ...] = (LoggedEvents(), RecordedEvents())


def test_an_event_carries_its_decision_and_its_process(log: Configure) -> None:
    """`grep <decision_id>` must find every line of a decision."""
    lines = log("worker-orders")

    with context.bound(
        decision_id="dec_1", symbol="BTC/USDT:USDT", mode="paper", stage="fetch", task_id="dec_1.fetch"
    ):
        LoggedEvents().emit(EventName.DATA_FETCH, timeframes="30m=ok")

    (record,) = lines("worker-orders.jsonl")
    assert datetime.fromisoformat(record.pop("time")).tzinfo == UTC
    assert record.pop("host")
    assert record.pop("pid")
    assert record == {
        "level": "info",
        "event": "DATA_FETCH",
        "component": "worker-orders",
        "decision_id": "dec_1",
        "symbol": "BTC/USDT:USDT",
        "stage": "fetch",
        "mode": "paper",
        "task_id": "dec_1.fetch",
        "timeframes": "30m=ok",
    }


def test_each_line_stands_in_the_component_file_and_in_the_combined_one(log: Configure) -> None:
    """One file for a role, one for the whole story."""
    lines = log("beat")

    LoggedEvents().emit(EventName.UNIVERSE, symbols=20)

    assert lines("beat.jsonl") == lines("all.jsonl")


def test_log_files_are_private(log: Configure, tmp_path: Path) -> None:
    """They tell what somebody owns."""
    log("beat")
    LoggedEvents().emit(EventName.UNIVERSE, symbols=20)

    for name in ("beat.jsonl", "all.jsonl"):
        assert stat.S_IMODE((tmp_path / "logs" / name).stat().st_mode) == 0o600


def test_values_are_written_as_people_and_programs_expect_them(log: Configure) -> None:
    """Money as exact text, times in UTC, enums by their value."""
    lines = log()

    LoggedEvents().emit(
        EventName.ORDER_CONTEXT,
        qty=Decimal("1E-5"),
        at=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        stage=Stage.EXECUTE,
        error=ValueError("no"),
        names={"b", "a"},
        path=Path("x/y"),
        limits={"max": Decimal("2.50")},
    )

    (record,) = lines("all.jsonl")
    assert record["qty"] == "0.00001"
    assert record["at"] == "2026-01-02T03:04:05.678Z"
    assert record["stage"] == "execute"
    assert record["error"] == "ValueError: no"
    assert record["names"] == ["a", "b"]
    assert record["path"] == "x/y"
    assert record["limits"] == {"max": "2.50"}


def test_nothing_that_is_emitted_can_raise(log: Configure) -> None:
    """A log line must not stop a trade, whatever is in it."""

    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    lines = log()
    endless: list[object] = []
    endless.append(endless)

    for value in (Unprintable(), endless, "\ud800", 2**80, float("nan"), {1: 2}, object(), "x" * 200_000):
        LoggedEvents().emit(EventName.SECURITY, value=value, event="own", level=Level.INFO, pid="own")

    records = lines("all.jsonl")
    assert [record["event"] for record in records] == ["SECURITY"] * 8
    assert all(isinstance(record["pid"], int) for record in records)
    assert len(json.dumps(records[-1])) < 70_000


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "permit_key", "PASSWORD", "db_password", "signature", "dsn"]
)
def test_secrets_are_hidden_by_the_name_of_their_field(name: str, log: Configure) -> None:
    """Also when nobody registered their value, and however deep they lie."""
    lines = log()

    fields: dict[str, object] = {name: "hush-hush", "nested": [{"inner": {name: "hush-hush"}}]}
    logs.writer().write("info", "SECURITY", fields)

    (record,) = lines("all.jsonl")
    assert record[name] == "***"
    assert record["nested"] == [{"inner": {name: "***"}}]


def test_secrets_are_hidden_by_their_value_wherever_they_stand(log: Configure) -> None:
    """In an address, a library's message or a stack trace, escaped or not."""
    lines = log(
        GOVERNOR_PERMIT_KEY='with"quote-and-ü',
        LEDGER_URL="postgresql+psycopg://trader:geheimnis@db/ledger",
        REDIS_URL="redis://market:in%40address@cache/0",
        SENTRY_DSN="",
    )
    logs.hide("made-later")

    LoggedEvents().emit(EventName.SECURITY, text='key with"quote-and-ü, password geheimnis, made-later')
    logging.getLogger("library").error("cannot reach %s", "postgresql://trader:geheimnis@db")
    logging.getLogger("library").error("as it is meant: %s", "in@address")
    try:
        raise ValueError("geheimnis")
    except ValueError:
        structlog.get_logger().exception("trouble")

    text = json.dumps(lines("all.jsonl"), ensure_ascii=False)
    assert len(lines("all.jsonl")) == 4
    assert not any(secret in text for secret in ("quote-and", "geheimnis", "made-later", "in@address"))


def test_what_libraries_log_lands_in_the_same_files_with_the_decision(log: Configure) -> None:
    """Half of every story is told by a library."""
    lines = log()

    with context.bound(decision_id="dec_1"):
        logging.getLogger("sqlalchemy").warning("slow: %d ms", 300)

    (record,) = lines("all.jsonl")
    assert (record["event"], record["logger"], record["message"]) == ("LOG", "sqlalchemy", "slow: 300 ms")
    assert (record["level"], record["decision_id"]) == ("warning", "dec_1")


def test_a_librarys_mistake_in_a_log_call_is_logged_nevertheless(log: Configure) -> None:
    """The standard library would print it to stderr, where nobody looks."""
    lines = log()

    logs.Bridge().emit(logging.LogRecord("library", logging.ERROR, "", 1, "%d of %d", (1,), None))

    assert "%d of %d" in lines("all.jsonl")[0]["message"]


def test_structlog_loggers_write_to_the_same_files(log: Configure) -> None:
    """What strategies of users use."""
    lines = log()

    structlog.get_logger().bind(strategy="mine").info("warmed up", bars=200)

    (record,) = lines("all.jsonl")
    assert (record["event"], record["strategy"], record["bars"]) == ("warmed up", "mine", 200)


def test_an_exception_is_written_with_its_trace(log: Configure) -> None:
    """Whoever reads it was not there."""
    lines = log()

    try:
        raise ValueError("boom")
    except ValueError:
        LoggedEvents().emit(EventName.UPKEEP_FAILED, exc_info=True)
        logging.getLogger("library").exception("trouble")

    for record in lines("all.jsonl"):
        assert "ValueError: boom" in record["traceback"]
        assert "test_logs.py" in record["traceback"]


def test_the_level_holds_for_events_and_libraries(log: Configure) -> None:
    """INFO by default; WARNING when somebody wants silence."""
    lines = log(LOGGING_LEVEL="WARNING")

    LoggedEvents().emit(EventName.DATA_FETCH)
    logging.getLogger("library").info("chatter")
    structlog.get_logger().info("chatter")
    LoggedEvents().emit(EventName.DATA_FETCH, level=Level.WARNING)
    LoggedEvents().emit(EventName.SECURITY)

    assert [(line["event"], line["level"]) for line in lines("all.jsonl")] == [
        ("DATA_FETCH", "warning"),
        ("SECURITY", "error"),
    ]


def test_a_thread_that_dies_says_so(log: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that lives on without its feed thread is the silent loop again."""
    monkeypatch.setattr(logs, "_hooks", (lambda *_: None, lambda *_: None))
    lines = log()
    thread = threading.Thread(target=lambda: 1 / 0, name="feed")

    thread.start()
    thread.join()

    (record,) = lines("all.jsonl")
    assert record["level"] == "critical"
    assert "feed" in record["message"]
    assert "ZeroDivisionError" in record["traceback"]


def test_a_process_that_dies_says_so(log: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stderr may be nowhere."""
    monkeypatch.setattr(logs, "_hooks", (lambda *_: None, lambda *_: None))
    lines = log()

    try:
        raise ValueError("boom")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)

    assert "ValueError: boom" in lines("all.jsonl")[0]["traceback"]


def test_configuring_again_writes_each_record_once(log: Configure) -> None:
    """A forked worker child configures what its parent had configured."""
    log("first")
    lines = log("second")

    logging.getLogger("library").warning("once")
    LoggedEvents().emit(EventName.SECURITY)

    assert [line["component"] for line in lines("all.jsonl")] == ["second", "second"]


def test_warnings_are_logged(log: Configure) -> None:
    """A deprecation seen in a log is mended in time."""
    lines = log()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    assert "old ways" in lines("all.jsonl")[0]["message"]


def test_recorded_events_remember_the_decision_they_happened_in() -> None:
    """Tests assert on them instead of on log files."""
    events = RecordedEvents()

    with context.bound(decision_id="dec_1"):
        events.emit(EventName.NO_SIGNAL, why="quiet")

    assert events.of(EventName.NO_SIGNAL) == [{"decision_id": "dec_1", "why": "quiet"}]
    assert events.names == [EventName.NO_SIGNAL]
    assert events.all[0].level is Level.INFO


def test_a_nearly_full_disk_is_told_once_in_the_log_and_on_stderr(
    log: Configure, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """That logging has stopped must be said before it stops; what is an error is said elsewhere from then on."""
    room = [10**9]
    monkeypatch.setattr(logfile, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(logfile.LogFile, "free_bytes", property(lambda file: room[0]))
    lines = log(LOGGING_KEEP_FREE_MB="200")
    events = LoggedEvents()
    events.emit(EventName.NO_SIGNAL, why="before")

    room[0] = 100 * 10**6
    for _ in range(3):
        events.emit(EventName.NO_SIGNAL, why="meanwhile")
    events.emit(EventName.UPKEEP_FAILED, what="reconcile", problem="the disk is full")
    room[0] = 10**9
    events.emit(EventName.NO_SIGNAL, why="after")

    records = lines("all.jsonl")
    assert [record["event"] for record in records] == [
        "NO_SIGNAL",
        "LOGGING_STOPPED",
        "NO_SIGNAL",
        "LOG_LINES_LOST",
    ]
    assert (records[1]["free_mb"], records[1]["least_mb"], records[3]["lines"]) == (100.0, 200.0, 4)
    cried = capfd.readouterr().err
    assert cried.count("LOGGING_STOPPED") == 2  # one for each file
    assert cried.count("UPKEEP_FAILED") == 1


@pytest.mark.parametrize(("mode", "told"), [("paper", ["SECURITY"]), ("testnet", ["NO_SIGNAL", "SECURITY"])])
def test_a_mode_can_have_a_level_of_its_own(mode: str, told: list[str], log: Configure) -> None:
    """Paper trading of a thousand symbols need not write what real money has to."""
    lines = log(MODE=mode, LOGGING_LEVEL="INFO", LOGGING_PAPER_LEVEL="ERROR")

    LoggedEvents().emit(EventName.NO_SIGNAL, why="quiet")
    LoggedEvents().emit(EventName.SECURITY, what="knock")

    assert [record["event"] for record in lines("all.jsonl")] == told
