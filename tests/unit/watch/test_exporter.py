"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from config.settings import Settings
from console.commands.roles import refuse_strangers
from pipeline.domain.errors import ConfigError
from pipeline.domain.levels import Level, LevelCode, Severity
from pipeline.domain.outcomes import EndReason
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.testing import FixedClock
from pipeline.watch import exporter
from pipeline.watch.door import login
from pipeline.watch.exporter import LedgerMetrics, PulseMetrics
from pipeline.watch.look import Away, BrokerView, QueueView
from tests.unit.ledger.ledger_worlds import BTC, NOW, SECOND, a_decision
from tests.unit.watch.looks import a_pulse
from tests.unit.watch.test_watch_reports import ended, traded

START = NOW - timedelta(minutes=1)


@pytest.fixture
def ledger() -> Iterator[SqlLedger]:
    made = memory_ledger()
    yield made
    made.close()


def broker(depth: int | None) -> BrokerView | Away:
    """Redis with so many messages for fetch, the oldest from `NOW`; None: away."""
    if depth is None:
        return Away("Redis does not answer")
    queue = QueueView(depth=depth, oldest_at=NOW, oldest_task="fetch", tasks=frozenset(), whole=True)
    return BrokerView(queues={"fetch": queue}, held=frozenset(), persistent=True)


class Scraped:
    """An exporter that was started a minute before `NOW`, and what it tells."""

    def __init__(self, ledger: SqlLedger, depth: int | None = None) -> None:
        self.clock = FixedClock(START)
        self.metrics = LedgerMetrics(ledger, self.clock, "paper:main", lambda: broker(depth))
        self.registry = CollectorRegistry()
        self.registry.register(self.metrics)

    def at(self, after: timedelta) -> Scraped:
        self.clock.set(NOW + after)
        self.registry.collect()
        return self

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"throughline_{name}", labels)


def test_decisions_are_counted_once_however_often_somebody_asks(ledger: SqlLedger) -> None:
    """Counters that grow by being looked at would alarm somebody at night."""
    scraped = Scraped(ledger)
    for number in range(3):
        ended(ledger, a_decision(slot=NOW + number * SECOND), EndReason.NO_SIGNAL, ms=40)

    for after in (5, 6, 3600, 7200):
        scraped.at(after * SECOND)
        assert scraped.value("decisions_total", mode="paper", symbol=BTC, outcome="no_signal") == 3
        assert scraped.value("decision_reasons_total", mode="paper", reason="NO_SIGNAL") == 3
        assert scraped.value("decision_seconds_count", mode="paper") == 3
        assert scraped.value("decision_seconds_bucket", mode="paper", le="0.05") == 3
        assert scraped.value("decision_seconds_bucket", mode="paper", le="0.025") == 0
        assert scraped.value("decision_seconds_sum", mode="paper") == pytest.approx(0.12)
        assert scraped.value("stage_run_seconds_count", mode="paper", stage="fetch") == 3


def test_what_ends_late_is_counted_all_the_same(ledger: SqlLedger) -> None:
    """A decision whose order was unknown for an hour ended, too."""
    scraped = Scraped(ledger)
    late = a_decision()
    with ledger.begin() as unit:
        unit.decisions.open(late)
    scraped.at(timedelta(hours=1))
    assert scraped.value("oldest_open_decision_seconds") == 3600

    with ledger.begin() as unit:
        unit.decisions.end(late.decision_id, EndReason.NOT_PLACED, "", NOW + timedelta(hours=1))
    scraped.at(timedelta(hours=1, seconds=5))

    assert scraped.value("decision_reasons_total", mode="paper", reason="NOT_PLACED") == 1


def test_an_exporter_that_starts_again_begins_at_zero(ledger: SqlLedger) -> None:
    """Prometheus knows that of any process; counting a year's ledger at each start it would not forgive."""
    ended(ledger, a_decision(slot=START - SECOND), EndReason.NO_SIGNAL)

    scraped = Scraped(ledger).at(SECOND)

    assert scraped.value("decisions_total", mode="paper", symbol=BTC, outcome="no_signal") is None


def test_trades_and_fills_are_counted_by_strategy(ledger: SqlLedger) -> None:
    """Win rate and profit factor over any window are a division in Prometheus."""
    scraped = Scraped(ledger)
    traded(ledger, a_decision(), strategy="adaptive_ob", bought="100", sold="110")

    scraped.at(timedelta(hours=1))

    assert scraped.value("trades_total", mode="paper", strategy="adaptive_ob", result="won") == 1
    assert scraped.value("gross_profit_total", mode="paper", strategy="adaptive_ob") == 18
    assert scraped.value("fills_total", mode="paper", strategy="adaptive_ob", side="sell") == 1


def test_a_ledger_that_does_not_answer_is_told(ledger: SqlLedger) -> None:
    """An endpoint that fails is a gap; one that says why is an alert."""
    broken = SqlLedger("sqlite:////nowhere/at/all.sqlite3")

    scraped = Scraped(broken).at(SECOND)

    assert scraped.value("ledger_up") == 0
    assert Scraped(ledger).at(SECOND).value("ledger_up") == 1


def test_queues_are_told_and_so_is_a_broker_that_is_away(ledger: SqlLedger) -> None:
    """No depth is not the same as depth zero."""
    there, away = Scraped(ledger, 7).at(SECOND), Scraped(ledger, None).at(SECOND)

    assert (there.value("broker_up"), there.value("queue_depth", queue="fetch")) == (1, 7)
    assert there.value("queue_oldest_seconds", queue="fetch") == 1
    assert (away.value("broker_up"), away.value("queue_depth", queue="fetch")) == (0, None)


def test_levels_that_stand_are_told_but_for_consequences(ledger: SqlLedger) -> None:
    """Prometheus may wake somebody by them; a dead beat must not wake him three times."""
    found: dict[str, Any] = {
        "account": "paper:main",
        "subject": "",
        "detail": "",
        "since": NOW,
        "seen_at": NOW,
    }
    gone = Level(code=LevelCode.BEAT_GONE, severity=Severity.CRITICAL, **found)
    silent = Level(code=LevelCode.NO_DECISION, severity=Severity.CRITICAL, cause=LevelCode.BEAT_GONE, **found)
    with ledger.begin() as unit:
        unit.levels.replace("paper:main", [gone, silent])

    scraped = Scraped(ledger).at(SECOND)

    told = {"account": "paper:main", "severity": "critical"}
    assert scraped.value("level", code="BEAT_GONE", **told) == 1
    assert scraped.value("level", code="NO_DECISION", **told) is None


def test_a_role_is_as_old_as_its_newest_process() -> None:
    """Whoever was killed and came back is no reason to be woken; a watchdog that stays silent is."""
    killed = a_pulse("watch", 7, beat_at=NOW - 500 * SECOND)
    registry = CollectorRegistry()
    registry.register(
        PulseMetrics(lambda: [killed, replace(killed, pid=8, beat_at=NOW - 3 * SECOND)], FixedClock(NOW))
    )

    told = {"role": "watch", "host": "alpha"}
    assert registry.get_sample_value("throughline_pulse_age_seconds", told) == 3


def test_it_is_served_as_prometheus_reads_it(ledger: SqlLedger) -> None:
    """The text is parsed by Prometheus' own library."""
    ended(ledger, a_decision(), EndReason.NO_SIGNAL)
    metrics = Scraped(ledger, 0).metrics
    stop, port = exporter.serve([metrics], "127.0.0.1", 0)
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
    finally:
        stop()

    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"throughline_ledger_up", "throughline_decisions", "throughline_stage_run_seconds"} <= names


def test_a_page_with_a_password_is_closed_to_who_does_not_say_it(ledger: SqlLedger) -> None:
    """Positions and profit are nobody else's business."""
    stop, port = exporter.serve([Scraped(ledger, 0).metrics], "127.0.0.1", 0, "a-password")
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        for told in ({}, {"Authorization": login("another")}):
            with pytest.raises(HTTPError, match="401"):
                urlopen(Request(url, headers=told), timeout=60)
        with urlopen(Request(url, headers={"Authorization": login("a-password")}), timeout=60) as answer:
            assert b"throughline_ledger_up" in answer.read()
    finally:
        stop()


def test_strangers_are_not_told_figures_by_mistake() -> None:
    """An address for everybody wants a password, or a word that it is meant."""
    for more in (
        {"host": "127.0.0.1"},
        {"host": "192.0.2.7", "password": "p"},
        {"host": "::", "anyone": True},
    ):
        refuse_strangers(Settings.model_validate({"metrics": more}))
    for host in ("::", "192.0.2.7", "exporter"):
        with pytest.raises(ConfigError, match=r"metrics\.host"):
            refuse_strangers(Settings.model_validate({"metrics": {"host": host}}))
