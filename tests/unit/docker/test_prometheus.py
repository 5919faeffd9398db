"""Rules and dashboards: of the right form, and about figures that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from pipeline.domain.decisions import Mode
from pipeline.domain.levels import Level, LevelCode, Severity
from pipeline.domain.positions import Equity
from pipeline.ledger.memory import memory_ledger
from pipeline.testing import FixedClock
from pipeline.watch.exporter import COUNTERS, HISTOGRAMS, LedgerMetrics, PulseMetrics
from pipeline.watch.look import BrokerView, QueueView
from tests.support.compose import DOCKER
from tests.unit.watch.looks import NOW, a_pulse

ACCOUNT = "paper-main"
DASHBOARDS = sorted((DOCKER / "grafana/dashboards").glob("*.json"))
METRIC = re.compile(r"(throughline_\w+)(?:\{([^}]*)\})?")
"""A metric's name, and what stands in its braces."""


def promtool(*arguments: str | Path) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not here; Debian's package prometheus has it, and .ci/run fetches it")
    told = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_prometheus_own_tool_accepts_configuration_and_rules() -> None:
    promtool("check", "config", DOCKER / "prometheus/prometheus.yml")


def test_each_alert_comes_when_it_should_and_only_then() -> None:
    """Hours of figures, played through the rules."""
    promtool("test", "rules", DOCKER / "prometheus/rules.test.yml")


# ------------------------------------------------------------------------------------------- the real figures


@pytest.fixture(scope="module")
def labels_of() -> dict[str, set[str]]:
    """Each sample that the exporter can tell, with its labels; those of gauges as it tells them."""
    ledger, clock = memory_ledger(), FixedClock(NOW)
    with ledger.begin() as unit:
        unit.levels.replace(ACCOUNT, [level()])
        unit.equity.add(equity())
    queue = QueueView(depth=1, oldest_at=NOW, oldest_task="fetch", tasks=frozenset(), whole=True)
    broker = BrokerView(queues={"fetch": queue}, held=frozenset(), persistent=True)
    registry = CollectorRegistry()
    registry.register(LedgerMetrics(ledger, clock, ACCOUNT, lambda: broker))
    registry.register(PulseMetrics(lambda: [a_pulse("watch")], clock))
    found = {each.name: set(each.labels) for family in registry.collect() for each in family.samples}
    ledger.close()
    counted = {f"throughline_{name}_total": set(labels) for name, (_, labels) in COUNTERS.items()}
    timed = {f"throughline_{name}_bucket": {*labels, "le"} for name, (_, labels) in HISTOGRAMS.items()}
    return found | counted | timed


def level() -> Level:
    return Level(
        account=ACCOUNT,
        code=LevelCode.BEAT_GONE,
        subject="",
        severity=Severity.CRITICAL,
        detail="",
        since=NOW,
        seen_at=NOW,
    )


def equity() -> Equity:
    return Equity(
        account=ACCOUNT,
        mode=Mode.PAPER,
        equity=Decimal(1),
        available=Decimal(1),
        unrealised_pnl=Decimal(0),
        occurred_at=NOW,
        recorded_at=NOW,
    )


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboards and the rules, with the text that is shown of its labels."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                yield target["expr"], target["legendFormat"]
    for rule in rules():
        yield (
            rule["expr"],
            " ".join(rule["annotations"].values()).replace("$labels.", "").replace("$value", ""),
        )


def rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((DOCKER / "prometheus/rules.yml").read_text(encoding="utf-8"))
    return [rule for group in told["groups"] for rule in group["rules"]]


def test_what_is_asked_for_is_told_by_the_exporter(labels_of: dict[str, set[str]]) -> None:
    """A renamed figure leaves an empty panel, and an alert that never comes."""
    for expression, shown in expressions():
        known: set[str] = set()
        for name, inside in METRIC.findall(expression):
            assert name in labels_of, f"{name} is not among {sorted(labels_of)}"
            assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside)) <= labels_of[name], expression
            known |= labels_of[name]
        grouped = {
            word.strip() for words in re.findall(r"by \(([^)]*)\)", expression) for word in words.split(",")
        }
        assert grouped | set(re.findall(r"\{\{\s*(\w+)", shown)) <= known, expression


def test_each_alert_says_what_to_do() -> None:
    """By a name that the runbook has."""
    runbook = (DOCKER.parent / "docs/watch.md").read_text(encoding="utf-8")
    for rule in rules():
        told = rule["annotations"]
        assert told["summary"]
        assert told["action"]
        for code in re.findall(r"\b[A-Z]+_[A-Z_]+\b", told["action"]):
            assert f"`{code}`" in runbook, code


def test_dashboards_are_provisioned_and_ask_the_source_that_is() -> None:
    """Nobody clicks anything together after the first start."""
    [source] = yaml.safe_load((DOCKER / "grafana/datasources.yml").read_text(encoding="utf-8"))["datasources"]
    told = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    assert len({each["uid"] for each in told}) == len(told) >= 2
    for board in told:
        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
