"""The results as a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measures import Latency
from benchmarks.running import Measured, Results
from pipeline.domain.timeframes import iso

AIMS = {"no_signal_cpu_ms": 5.0, "executed_ratio": 2.0, "throughput_per_s": 200.0}
TITLES = {"no_signal": "no signal, 2 stages", "executed": "executed, 4 stages"}
POOLS = {"prefork": "prefork, 2 children", "solo": "2 solo workers"}


def as_record(results: Results) -> dict[str, object]:
    """Everything, for `--json`. CPU and latency in milliseconds, throughput in decisions a second."""
    return {
        "at": iso(results.at),
        "took_s": round(results.took_s, 1),
        "machine": results.machine,
        "ledger": results.ledger,
        "bar_closed": results.bar_closed,
        "aims": AIMS,
        **{name: _kind_record(measured) for name, measured in results.kinds.items()},
        "throughput": {pool: _rounded(asdict(flow)) for pool, flow in results.throughput.items()},
    }


def _kind_record(measured: Measured) -> dict[str, object]:
    return {
        "cpu_ms": _rounded(measured.cost.decision),
        "noop_cpu_ms": _rounded(measured.cost.chain),
        "ratio": round(measured.cost.ratio, 2),
        "exchange_cpu_ms": round(measured.cost.exchange, 2),
        "latency_ms": _latency_record(measured.latency),
        "noop_latency_ms": _latency_record(measured.chain_latency),
        "other_outcomes": dict(measured.cost.others),
    }


def _latency_record(latency: Latency) -> dict[str, float]:
    return {"median": round(latency.median, 1), "p99": round(latency.p99, 1)}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


def show(results: Results, console: Console) -> None:
    """The tables."""
    if results.kinds:
        console.print(_costs(results))
        console.print(_roles(results))
    if results.throughput:
        console.print(_throughput(results))
    for name, measured in results.kinds.items():
        if measured.cost.others:
            console.print(f"Of the {name} decisions, some ended otherwise: {dict(measured.cost.others)}")
    if results.bar_closed:
        console.print("A bar closed during the run: some decisions asked the exchange for it.")


def _costs(results: Results) -> Table:
    """A decision and its empty chain in two lines."""
    table = Table(title=f"a decision beside a chain of empty Celery tasks, ledger on {results.ledger}")
    for heading in ("", "CPU ms", "ratio", "aim", "latency ms", "p99"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, measured in results.kinds.items():
        spent = measured.cost
        ratio = f"{spent.ratio:.2f}"
        table.add_row(TITLES[name], f"{spent.decision_ms:.2f}", ratio, _aim(name), *_times(measured.latency))
        table.add_row("  empty chain", f"{spent.chain_ms:.2f}", "", "", *_times(measured.chain_latency))
    return table


def _aim(name: str) -> str:
    if name == "no_signal":
        return f"CPU < {AIMS['no_signal_cpu_ms']:g} ms"
    return f"ratio < {AIMS['executed_ratio']:g}"


def _times(latency: Latency) -> tuple[str, str]:
    return f"{latency.median:.1f}", f"{latency.p99:.1f}"


def _roles(results: Results) -> Table:
    """Where the CPU is spent, process by process; the exchange is no part of the pipeline."""
    table = Table(title="CPU ms by process (the simulated exchange is not in the totals)")
    roles = ("market", "orders", "opener", "redis", "postgres")
    for heading in ("", *roles, "exchange"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, measured in results.kinds.items():
        mine, empty = measured.cost.decision, measured.cost.chain
        table.add_row(TITLES[name], *(_cell(mine, role) for role in roles), f"{measured.cost.exchange:.2f}")
        table.add_row("  empty chain", *(_cell({**empty, **_plain(empty)}, role) for role in roles), "")
    return table


def _plain(empty: Mapping[str, float]) -> dict[str, float]:
    return {role.removeprefix("noop-"): value for role, value in empty.items()}


def _cell(values: Mapping[str, float], role: str) -> str:
    return f"{values[role]:.2f}" if role in values else ""


def _throughput(results: Results) -> Table:
    """`CPU allows`: how many the CPU of one would allow if no other program ran."""
    table = Table(title="decisions without signal, end to end, opening and publishing included")
    for heading in ("market worker", "decisions/s", "aim", "CPU ms each", "CPU allows", "cores others used"):
        table.add_column(heading, justify="left" if heading == "market worker" else "right")
    cores = psutil.cpu_count() or 1
    for pool, flow in results.throughput.items():
        table.add_row(
            POOLS[pool],
            f"{flow.per_s:.0f}",
            f"> {AIMS['throughput_per_s']:g}",
            f"{flow.cpu_ms:.2f}",
            f"{cores * 1000 / flow.cpu_ms:.0f}",
            f"{flow.others_cores:.2f}",
        )
    return table
