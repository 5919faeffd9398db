"""What lies between a permit and its acknowledged order, beyond the exchange's own latency: `python -m
benchmarks.orders`.

`in one process`: permit, router, a ledger in a file that waits for the disk, the real adapter, real HTTP to the
simulated exchange. `through the workers`: real Celery workers; from the permit's time to the order's first state
after SENDING, so the message from validate to execute is in it. What the exchange takes is measured around each
request and taken away.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Decision, End, Stage
from pipeline.domain.orders import Answer, Order, Trade
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.signals import Side
from pipeline.domain.switches import TradingState
from pipeline.domain.timeframes import SystemClock
from pipeline.exchange.ccxt_adapter import CcxtExchange
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.router import OrderRouter
from pipeline.governor.permits import PermitAuthority, Valid
from pipeline.governor.view import Limits
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.unit import SqlUnit
from pipeline.trace.events import RecordedEvents
from tests.integration.exchange_worlds import Exchange, a_decision, adapter
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.servers import Simulator

BUDGET_MS = 15.0
PASSED = (CheckVerdict(CheckCode.BAD_INPUT, ok=True, value="fine", limit="-"),)
UNLIMITED = ("--weight-limit", "100000000", "--order-limit-10s", "1000000", "--order-limit-1m", "1000000")
SIMULATOR = ("--seed", "7", *UNLIMITED)
WARMING = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds beyond the exchange's own; `exchange` is the median of what was taken away."""

    way: str
    orders: int
    median: float
    p99: float
    exchange: float

    @classmethod
    def of(cls, way: str, ours: Sequence[float], theirs: Sequence[float]) -> Cost:
        ordered = sorted(ours)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        return cls(way, len(ordered), statistics.median(ordered), p99, statistics.median(theirs))


class Timed:
    """The real adapter, with the time of the submission noted: when it was answered and how long it took."""

    def __init__(self, real: CcxtExchange) -> None:
        self._real = real
        self.answered_at = self.took = self.trades_took = 0.0

    @property
    def name(self) -> str:
        return self._real.name

    def submit(self, order: Order, permit: Permit) -> Answer:
        began = time.perf_counter()
        answer = self._real.submit(order, permit)
        self.answered_at = time.perf_counter()
        self.took = self.answered_at - began
        return answer

    def trades(self, order: Order) -> Sequence[Trade]:
        began = time.perf_counter()
        found = self._real.trades(order)
        self.trades_took = time.perf_counter() - began
        return found

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


class OneProcess:
    """A ledger on the disk, a router, and one decision after another."""

    def __init__(self, folder: Path, url: str) -> None:
        self.ledger = SqlLedger(f"sqlite:///{folder / 'ledger.sqlite3'}")
        self.ledger.migrate()
        self.clock = SystemClock()
        self.real = adapter(url)
        self.timed = Timed(self.real)
        self.authority = PermitAuthority(b"a key of sixteen bytes and more", 10.0, self.clock)
        self.router = OrderRouter(
            self.ledger,
            self.timed,  # type: ignore[arg-type]  # the rest of the port is the real one's
            self.clock,
            self._problem,
            ExecutionOptions(),
            RecordedEvents(),
        )
        with self.ledger.begin() as unit:
            unit.switches.set_trading_state(
                "test", TradingState.ACTIVE, by="benchmark", reason="", at=self.clock.now()
            )

    def _problem(self, permit: Permit, terms: OrderTerms, now: datetime) -> End | None:
        valid = isinstance(self.authority.verify(permit, terms, now), Valid)
        return None if valid else End(EndReason.PERMIT_INVALID, "not this order's")

    def order(self, number: int) -> tuple[float, float]:
        """From the issued permit to the answer without the request, and the request; in milliseconds."""
        side = Side.BUY if number % 2 == 0 else Side.SELL
        wanted = Exchange(self.real, self.real, self.clock).intent(side)
        decision = a_decision(self.clock.now())
        with self.ledger.begin() as unit:
            unit.decisions.open(decision)
        began = time.perf_counter()
        terms = OrderTerms.of(wanted, decision.decision_id, decision.account, decision.mode)
        permit = self.authority.issue(terms, wanted.notional, Limits(), PASSED)
        with self.ledger.begin() as unit:
            unit.permits.add(permit)
        ending = self.router.place(decision, wanted, permit)
        self._ended(decision, ending)
        return (self.timed.answered_at - began - self.timed.took) * 1000, self.timed.took * 1000

    def _ended(self, decision: Decision, ending: object) -> None:
        if not isinstance(ending, End) or ending.reason is not EndReason.FILLED:
            raise SystemExit(f"an order was not filled: {ending}")
        with self.ledger.begin() as unit:
            unit.decisions.end(decision.decision_id, ending.reason, "", self.clock.now())


def in_one_process(orders: int) -> Cost:
    server = Simulator(*SIMULATOR, "--balance", "100000000")
    try:
        with tempfile.TemporaryDirectory() as folder:
            here = OneProcess(Path(folder), server.url)
            timed = [here.order(number) for number in range(orders + WARMING)][WARMING:]
            here.ledger.close()
    finally:
        server.stop()
    return Cost.of("in one process", [ours for ours, _ in timed], [theirs for _, theirs in timed])


HOPS = (
    "issued to published: validate's commit, and its message",
    "the message: Redis, and the worker that wakes up",
    "received to intent: the decision, the permit, the order as INTENT",
    "intent to claim: the ledger's lock, and the claim's questions",
    "claim to answer: the disk, the rate budget, the request (taken away)",
)
"""Between the permit and the order's first state after SENDING, as the ledger has their times."""


@dataclass(frozen=True, slots=True)
class Way:
    """One order's way through the workers, in milliseconds by hop."""

    hops: tuple[float, ...]

    @classmethod
    def of(cls, unit: SqlUnit, ended: Decision) -> Way | None:
        """None when it was not ordered."""
        permit, orders = unit.permits.of(ended.decision_id), unit.orders.of(ended.decision_id)
        stage = unit.stages.get(ended.decision_id, Stage.EXECUTE)
        steps = unit.orders.steps_of(orders[0].client_order_id) if orders else []
        answered = [
            at for step in steps if step["from"] == "SENDING" and isinstance(at := step["at"], datetime)
        ]
        if permit is None or stage is None or not answered or orders[0].sent_at is None:
            return None
        published = stage.started_at - timedelta(milliseconds=stage.queue_wait_ms or 0)
        marks = (
            permit.issued_at, published, stage.started_at, orders[0].created_at, orders[0].sent_at, answered[0],
        )  # fmt: skip
        return cls(tuple((after - before).total_seconds() * 1000 for before, after in pairwise(marks)))


def through_the_workers(orders: int, request_ms: float) -> tuple[Cost, Sequence[float]]:
    """The submission is the one request between the permit and the answer; it is taken away. Also the median of each
    hop.
    """
    names = ",".join(f"BEN{number:03d}USDT" for number in range(orders + WARMING))
    wide = {
        "UNIVERSE_SYMBOLS": names,
        "STRATEGIES_ENABLED": "always_buys",
        "GOVERNOR_MAX_POSITIONS": "10000",
        "GOVERNOR_MAX_EXPOSURE_USDT": "100000000",
        "GOVERNOR_MAX_ORDERS_PER_S": "10000",
        "GOVERNOR_MAX_ORDERS_PER_MINUTE": "100000",
    }
    exchange = (*SIMULATOR, "--symbols", names, "--balance", "100000000")
    with chain_processes(exchange, **wide) as chain:
        chain.start_workers()
        ways = list(_ways(chain, names.split(",")))[WARMING:]
    whole = [sum(way.hops) - request_ms for way in ways]
    medians = [statistics.median(hop) for hop in zip(*(way.hops for way in ways), strict=True)]
    medians[-1] -= request_ms
    return Cost.of("through the workers", whole, [request_ms]), medians


def _ways(chain: ChainProcesses, names: Sequence[str]) -> Iterator[Way]:
    for name in names:
        ended = chain.ended(chain.enqueue(name))
        with chain.pipeline.ledger.read() as unit:
            way = Way.of(unit, ended)
        if way is None:
            sys.stderr.write(f"{name} was not ordered: {ended.reason} {ended.detail}\n")
        else:
            yield way


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the median is within the budget in one process, 1 when it is not."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.orders", description=__doc__)
    made.add_argument("--orders", type=int, default=300)
    made.add_argument("--workers", type=int, default=30, help="orders through the workers; 0 leaves them out")
    made.add_argument("--json", action="store_true")
    wanted = made.parse_args(arguments)
    costs, hops = [in_one_process(wanted.orders)], dict[str, float]()
    if wanted.workers:
        cost, medians = through_the_workers(wanted.workers, costs[0].exchange)
        costs.append(cost)
        hops = dict(zip(HOPS, medians, strict=True))
    if wanted.json:
        print(json.dumps({"ways": [asdict(cost) for cost in costs], "hops": hops}, indent=2))
    else:
        for cost in costs:
            print(
                f"{cost.way:<20} {cost.orders:>4} orders: median {cost.median:5.1f} ms, p99 {cost.p99:6.1f} ms, "
                f"beyond {cost.exchange:.1f} ms of the exchange (at most {BUDGET_MS:g} ms at the median)"
            )
        for name, median in hops.items():
            print(f"    {median:6.1f} ms  {name}")
    return 0 if costs[0].median < BUDGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
