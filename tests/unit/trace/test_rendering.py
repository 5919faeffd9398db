"""The readable form of a log line."""

from __future__ import annotations

import json

import pytest

from pipeline.trace.rendering import render_line

RECORD = {
    "time": "2026-01-02T03:04:05.678Z",
    "level": "info",
    "event": "DECISION_END",
    "component": "worker-market",
    "decision_id": "dec_20260102_030400_0123456789ab",
    "symbol": "BTC/USDT:USDT",
    "outcome": "no_signal",
    "detail": "rsi 41.2, wanted below 28.5",
    "host": "h",
    "pid": 1,
}


def test_a_line_reads_from_left_to_right() -> None:
    """When, how loud, who, about what, what, why, and the id to ask further with."""
    words = render_line(json.dumps(RECORD)).split()

    assert words[:5] == ["03:04:05.678", "INFO", "worker-market", "BTC/USDT:USDT", "DECISION_END"]
    assert "outcome=no_signal" in words
    assert words[-1] == "dec_20260102_030400_0123456789ab"
    assert not any(word.startswith(("host", "pid")) for word in words)


def test_it_is_plain_unless_colour_is_wanted() -> None:
    """Escape codes in a file or a pipe are dirt."""
    line = json.dumps(RECORD).encode()

    assert "\x1b" not in render_line(line)
    assert "\x1b[1mDECISION_END" in render_line(line, colour=True)


def test_a_stack_trace_stands_below_its_line() -> None:
    """Escaped onto one line nobody reads it."""
    trace = "Traceback:\n  File x\nValueError: boom\n"

    shown = render_line(json.dumps({**RECORD, "traceback": trace})).splitlines()

    assert [line.strip() for line in shown[1:]] == ["Traceback:", "File x", "ValueError: boom"]


@pytest.mark.parametrize("text", ["not json", '{"half":', "[1, 2]", "{}", "", "\x00"])
def test_what_is_no_record_comes_back_as_text(text: str) -> None:
    """Following a log must survive a torn line."""
    assert render_line(text).isprintable()


def test_a_record_cannot_write_to_the_terminal() -> None:
    """An exchange's error text is a stranger's text."""
    shown = render_line(json.dumps({**RECORD, "detail": "\x1b[2Jgone", "symbol": "\x1b]0;x\x07"}))

    assert "\x1b" not in shown
    assert "gone" in shown
