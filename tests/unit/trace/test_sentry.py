"""Sentry: ids that can be computed, and nothing at all without a DSN."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.loading import load
from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName, Level
from pipeline.trace import sentry

DECISION = "dec_20260102_030400_0123456789ab"


def test_without_a_dsn_it_stays_off(tmp_path: Path) -> None:
    """The default; the SDK is not even imported by it."""
    assert not sentry.start(load({}, tmp_path), "worker")

    with sentry.decision_scope(DECISION, symbol="BTC/USDT:USDT", stage="fetch"):
        sentry.report(EventName.SECURITY, Level.ERROR, {})


def test_a_wrong_dsn_stops_the_start(tmp_path: Path) -> None:
    """Found at the start, not when the first error goes nowhere; and it is a secret."""
    settings = load({"THROUGHLINE_SENTRY_DSN": "nonsense"}, tmp_path)

    with pytest.raises(ConfigError, match="THROUGHLINE_SENTRY_DSN") as caught:
        sentry.start(settings, "worker")
    assert "nonsense" not in str(caught.value)


def test_a_decisions_trace_can_be_computed_from_its_id() -> None:
    """32 hex characters, the same in every process and every release: a link to it can be printed."""
    assert sentry.trace_id(DECISION) == "dbca53079b2f2d9a0e404a7db61afd32"
    assert sentry.trace_headers(DECISION)["sentry-trace"].startswith(f"{sentry.trace_id(DECISION)}-")
    assert sentry.trace_headers(DECISION)["traceparent"] == (
        f"00-{sentry.trace_id(DECISION)}-{sentry.trace_headers(DECISION)['sentry-trace'][33:]}-01"
    )
    assert re.fullmatch(
        "00-[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01", sentry.trace_headers(DECISION)["traceparent"]
    )
