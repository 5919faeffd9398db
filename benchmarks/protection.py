"""How soon a stop and a target are on the exchange after their entry's fill: `python -m benchmarks.protection`.

Real workers, Redis, ledger and the simulated exchange; measured from the exchange's own journal, fill by fill.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from datetime import datetime

from tests.fault.audit.evidence import Row, journal_file
from tests.fault.rehearsal import Rehearsal, rehearsal
from tests.support.waiting import eventually

KINDS = {"stop": "STOP_MARKET", "target": "TAKE_PROFIT_MARKET"}
AT_ONCE = 20


def delays_s(journal: Sequence[Row], kind: str) -> list[float]:
    """From each symbol's first fill to the acceptance of its order of that type, in seconds, sorted."""
    filled: dict[str, datetime] = {}
    found: dict[str, float] = {}
    for entry in journal:
        if entry["kind"] == "fill":
            filled.setdefault(entry["symbol"], datetime.fromisoformat(entry["at"]))
        elif entry["kind"] == "order_accepted" and entry["type"] == kind and entry["symbol"] in filled:
            at = datetime.fromisoformat(entry["at"])
            found.setdefault(entry["symbol"], (at - filled[entry["symbol"]]).total_seconds())
    return sorted(found.values())


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def measure(symbols: int, workers: int) -> list[Row]:
    """Open a position on each symbol; the journal of it."""
    with rehearsal(seed=7, symbols=symbols) as on:
        on.start(orders=workers)
        on.wants("buy")
        for start in range(0, symbols, AT_ONCE):
            _open(on, on.symbols[start : start + AT_ONCE])
        on.evidence()
        return list(journal_file(on.journal))


def _open(on: Rehearsal, symbols: Sequence[str]) -> None:
    made = [on.enqueue(symbol) for symbol in symbols]
    wanted = {decision.decision_id for decision in made if decision is not None}
    eventually(lambda: not on.chain.pipeline.open_decisions(wanted), 120, "the positions to be open")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    told = parser.parse_args()
    journal = measure(told.symbols, told.workers)
    for name, kind in KINDS.items():
        found = delays_s(journal, kind)
        shares = ", ".join(
            f"p{share * 100:g} {percentile(found, share) * 1000:.0f} ms" for share in (0.5, 0.99)
        )
        print(f"{name}: {len(found)} positions, {shares}, slowest {found[-1] * 1000:.0f} ms")


if __name__ == "__main__":
    main()
