"""A host of `docker/compose.yaml` without an engine: its commands as processes, with what containers would know."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.support.compose import DOCKER
from tests.support.deployment import Deployment
from tests.support.processes import Started, free_port
from tests.support.servers import Unavailable
from tests.support.waiting import eventually

ROLES = ("simulator", "feed", "beat", "market", "orders", "watch", "exporter", "flower")


PULSES = ("beat", "feed", "watch", "worker-market", "worker-orders")


@pytest.fixture
def host() -> Iterator[Deployment]:
    """Its servers. Without PostgreSQL's binaries: skips, or fails when TEST_REQUIRE_POSTGRES is set."""
    try:
        made = Deployment()
    except Unavailable as reason:
        if os.environ.get("TEST_REQUIRE_POSTGRES"):
            pytest.fail(f"TEST_REQUIRE_POSTGRES is set, but: {reason}")
        pytest.skip(str(reason))
    yield made
    made.stop()


@pytest.mark.postgres
def test_each_role_starts_alone_works_with_its_own_secrets_and_stops_in_order(host: Deployment) -> None:
    """A decision needs all of them: one secret too few, or one right in Redis or PostgreSQL, and it does not end."""
    host.run("migrate")
    for role in ROLES:
        host.start(role)
    eventually(lambda: all_live(host), 120, f"a sign of life of each role; {host.tail()}")
    for role in ROLES:
        eventually(lambda role=role: host.is_healthy(role), 60, f"{role} to be healthy")  # type: ignore[misc]  # mypy and defaults

    host.run("operator", "trading", "active", "--reason", "first start")
    eventually(
        lambda: host.counted("decisions", "outcome = 'executed'"), 60, f"an order to be filled; {host.tail()}"
    )
    for role in ("orders", "watch"):
        host.run(role, "doctor", "--security", "--role", role)
    if shutil.which("prometheus"):
        with prometheus(host) as asked:
            eventually(lambda: rules_are_quiet(asked), 60, "the rules to be evaluated")
            every_panel_has_an_answer(asked)

    assert {role: host.stopped(role) for role in reversed(ROLES)} == dict.fromkeys(ROLES, 0)
    assert "has stopped" in host.run("operator", "health", "orders", code=1)


def all_live(host: Deployment) -> bool:
    host.require_running()
    page = host.page("metrics", "/metrics", "data/metrics_password")
    seen = {role for role in PULSES if f'role="{role}"' in page}
    return seen == set(PULSES) and bool(host.page("flower", "/healthcheck"))


# -------------------------------------------------------------------------------------------------- Prometheus


class Prometheus:
    """What it answers over HTTP."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urlencode(query)}"
        with urlopen(url, timeout=60) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]


@contextmanager
def prometheus(host: Deployment) -> Iterator[Prometheus]:
    """The real one with the committed configuration, asking the exporter twice a second."""
    folder, port = host.folder / "prometheus", free_port()
    shutil.copytree(DOCKER / "prometheus", folder)
    config = (folder / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("exporter:9391", f"127.0.0.1:{host.ports['metrics']}").replace("15s", "500ms")
    config = config.replace("/run/secrets", str(host.secrets / "data"))
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command = ["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}"]
    process = Started("prometheus", command, folder / "prometheus.log")
    try:
        process.await_output("Server is ready")
        asked = Prometheus(port)
        eventually(lambda: is_up(asked), 60, f"the exporter to be up; {process.output()[-500:]}")
        yield asked
    finally:
        process.stop()


def is_up(asked: Prometheus) -> bool:
    told = asked.get("query", query='up{job="throughline"}')["result"]
    return [each["value"][1] for each in told] == ["1"]


def rules_are_quiet(asked: Prometheus) -> bool:
    """All of them could be evaluated, and what runs is not called dead."""
    [group] = asked.get("rules")["groups"]
    states = {each["name"]: each["state"] for each in group["rules"] if each["health"] == "ok"}
    quiet = {
        states.get(f"Throughline{name}")
        for name in ("Unwatched", "LedgerDown", "BrokerDown", "WatchdogSilent")
    }
    return len(states) == len(group["rules"]) == 12 and quiet == {"inactive"}


def every_panel_has_an_answer(asked: Prometheus) -> None:
    for path in (DOCKER / "grafana/dashboards").glob("*.json"):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "1m").replace("$mode", "paper")
                asked.get("query", query=expression)
    told = asked.get("query", query='sum(throughline_fills_total{mode="paper"})')["result"]
    assert re.fullmatch(r"[1-9]\d*", told[0]["value"][1])
