"""Prometheus' endpoint beside a real chain: right over prefork children and workers."""

from __future__ import annotations

import sys
from collections import Counter
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.support.chain import chain_processes
from tests.support.processes import Started, free_port
from tests.support.waiting import eventually

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT")


def scraped(port: int) -> dict[str, float]:
    """Every sample by its name and labels."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        f"{each.name} {sorted(each.labels.items())}": each.value
        for family in families
        for each in family.samples
    }


def total(samples: dict[str, float], name: str) -> float:
    return sum(value for key, value in samples.items() if key.split(" ")[0] == f"throughline_{name}")


def test_it_counts_what_all_children_of_all_workers_did() -> None:
    """Two workers with two children each; a scrape from a process that did none of it."""
    with chain_processes(STRATEGIES_ENABLED="always_buys") as chain:
        port = free_port()
        env = {**chain.env, "THROUGHLINE_METRICS_PORT": str(port)}
        exporter = [sys.executable, "-m", "console", "exporter"]
        process = Started("exporter", exporter, chain.home / "exporter.out", env=env)
        chain.processes["exporter"] = process
        process.await_output("/metrics")
        chain.start_worker("market", concurrency=2)
        chain.start_worker("orders", concurrency=2)

        decisions = [chain.enqueue(symbol) for symbol in SYMBOLS]
        ended = Counter(str(chain.ended(each, 60).outcome) for each in decisions)

        # each entry's stop and target are decisions of their own, of one stage
        samples = eventually(lambda: _complete(scraped(port), 3 * len(SYMBOLS)), 30, "every decision")
        assert ended == {"executed": len(SYMBOLS)}
        assert chain.counts() == {"executed": 3 * len(SYMBOLS)}
        assert total(samples, "stage_run_seconds_count") == (4 + 2) * len(SYMBOLS)
        assert total(samples, "decision_seconds_count") == 3 * len(SYMBOLS)
        assert total(samples, "fills_total") >= len(SYMBOLS)
        assert total(samples, "queue_depth") == 0
        assert total(samples, "broker_up") == total(samples, "ledger_up") == 1
        with chain.pipeline.ledger.read() as unit:
            workers = {stage.pid for each in decisions for stage in unit.stages.of(each)}
        assert len(workers) > 1


def _complete(samples: dict[str, float], wanted: int) -> dict[str, float] | None:
    return samples if total(samples, "decisions_total") == wanted else None
