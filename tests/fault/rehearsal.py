"""A running pipeline to which accidents happen: real workers, Redis, ledger, the simulated exchange."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.request import Request, urlopen

import psutil
import redis
from kombu.exceptions import OperationalError

from pipeline.domain.decisions import Decision, Origin
from pipeline.domain.errors import ThroughlineError
from pipeline.domain.ids import task_id
from pipeline.execution.crashpoints import VARIABLE, CrashPoint
from pipeline.stages.opening import PassRequest
from tests.fault.audit import Evidence, Violation, read_evidence, violations
from tests.fault.audit.evidence import Accident, journal_file, market_of
from tests.fault.contention import Contention
from tests.support.chain import ChainProcesses
from tests.support.clients import trusted_client
from tests.support.processes import ROOT, temporary_folder
from tests.support.servers import LOOPBACK
from tests.support.waiting import BUSY, eventually

UPKEEP = ("tasks.protect", "tasks.sweep", "tasks.resolve")
UPKEEP_EVERY_S = 0.4
UPKEEP_EXPIRES_S = 5.0
RECONCILED_EVERY_S = 4.0
PROTECTING_ALL_TAKES_S = 1.0
"""A cycle over all positions of a run while nothing else wants the processors."""
CONTENTION_LOOKED_AT_EVERY_S = 2.0
SENDER_MISSED_S = 2.0 + UPKEEP_EVERY_S
"""Whose sender is killed or frozen is waited for two seconds (docs/protection.md), then until the next cycle."""
REDIS_MISSED_S = 2.0
"""A worker that could not connect tries again after two seconds: Celery's own interval."""
WIDE = {
    "STRATEGIES_ENABLED": "takes_sides",
    "MARKET_TIMEFRAMES": "1m",
    "MARKET_MAX_LAG_BARS": "2",
    "CHAIN_CADENCE_S": "20",
    "CHAIN_DEADLINE_S": "20",
    "CHAIN_RESUME_AFTER_S": "2",
    "CHAIN_PROTECT_EVERY_S": "0.5",
    "CHAIN_SOFT_TIME_LIMIT_S": "6",
    "CHAIN_HARD_TIME_LIMIT_S": "8",
    "CHAIN_VISIBILITY_TIMEOUT_S": "20",
    "EXCHANGE_TIMEOUT_S": "2",
    "EXITS_UNPROTECTED_MAX_S": "10",
    "EXCHANGE_WEIGHT_PER_MINUTE": "100000000",
    "EXCHANGE_ORDERS_PER_10S": "1000000",
    "EXCHANGE_ORDERS_PER_MINUTE": "10000000",
    "LEDGER_BUSY_TIMEOUT_S": "1",
    "SIZING_MAX_NOTIONAL_USDT": "400",
    "EXECUTION_SLIPPAGE_BPS": "100",
    "CHAIN_PROTECT_WITHIN_S": str(UPKEEP_EVERY_S / 2),
    "GOVERNOR_PERMIT_TTL_S": "15",
    "GOVERNOR_MAX_POSITIONS": "2000",
    "GOVERNOR_MAX_EXPOSURE_USDT": "100000000",
    "GOVERNOR_MAX_ORDERS_PER_S": "10000",
    "GOVERNOR_MAX_ORDERS_PER_MINUTE": "100000",
    "GOVERNOR_MAX_ORDERS_PER_DAY": "10000000",
    "GOVERNOR_DUPLICATE_WITHIN_S": "0.01",
    "GOVERNOR_COOLDOWN_AFTER_LOSS_S": "0",
    "GOVERNOR_MAX_REJECTS": "10000000",
    "GOVERNOR_MAX_REPEATS": "10000000",
    "GOVERNOR_MAX_KILL_SCORE": "10000000",
}
"""Limits that let everything through: what is rehearsed is that what was let through happens once."""

LIMITS = ("--weight-limit", "100000000", "--order-limit-10s", "1000000", "--order-limit-1m", "10000000")


class Rehearsal:
    """One pipeline, its plan of accidents, and the audit of what came of it."""

    def __init__(
        self, *, seed: int, symbols: int, ledger_url: str = "", address: str = LOOPBACK, **settings: str
    ) -> None:
        self.seed = seed
        self.generation = 0
        self.protect_every_s = UPKEEP_EVERY_S
        self.contention = Contention()
        self._contention_at = 0.0
        self._kept_up_at = self._reconciled_at = 0.0
        self._accidents: list[Accident] = []
        self._order_queues = "validate,execute,upkeep"
        self.folder = temporary_folder("rehearsal")
        self.plan = self.folder / "plan"
        self.plan.mkdir()
        self.journal = self.folder / "journal.jsonl"
        params = json.dumps({"takes_sides": {"folder": str(self.folder)}})
        names = ",".join(f"FLT{number:03d}USDT" for number in range(symbols))
        wanted = {**WIDE, "UNIVERSE_SYMBOLS": names, "STRATEGIES_PARAMS": params, **settings}
        told = {f"THROUGHLINE_{name}": value for name, value in wanted.items()} | {VARIABLE: str(self.plan)}
        exchange = ("--seed", str(seed), "--symbols", names, "--balance", "10000000", *LIMITS)
        self.chain = ChainProcesses(told, (*exchange, "--journal", str(self.journal)), ledger_url, address)
        self.symbols = sorted(self.chain.pipeline.universe().symbols)
        self._celery = trusted_client("rehearsal", self.chain.redis.url, self.chain.home)
        self._celery.conf.broker_transport_options |= {"socket_timeout": 2, "socket_connect_timeout": 2}

    def start(self, *, market: int = 1, orders: int = 3, upkeep: int = 0) -> None:
        """The workers, with so many children each; without one for the upkeep those that execute do that as well."""
        self.chain.launch_worker("market", concurrency=market)
        if upkeep:
            self._order_queues = "validate,execute"
            self.chain.launch_worker("upkeep", "upkeep", concurrency=upkeep)
        self.start_orders(orders)
        self.chain.await_workers("market", *(("upkeep",) if upkeep else ()))

    def start_orders(self, children: int) -> None:
        """The worker that executes; when one was before, another one with a name of its own."""
        self.generation += 1
        self.chain.start_worker(f"orders{self.generation}", self._order_queues, concurrency=children)

    def stop(self) -> None:
        self.thaw()
        self._celery.close()
        self.chain.stop()

    # -- traffic ----------------------------------------------------------------------------------------------

    def wants(self, side: str) -> None:
        """From now on every pass has a signal for this side: `buy` opens, `sell` closes, or the reverse."""
        file = self.folder / "side.new"
        file.write_text(side, encoding="utf-8")
        file.rename(self.folder / "side")

    def enqueue(self, symbol: str) -> Decision | None:
        """One decision now. None when Redis or the ledger could not take it."""
        try:
            decision = self.open(symbol)
            if decision.is_open:
                self.publish("fetch", decision)
        except (ThroughlineError, OperationalError, redis.RedisError):
            return None
        return decision

    def open(self, symbol: str) -> Decision:
        """The decision's row alone, without its first message."""
        here = self.chain.pipeline
        return here.open(PassRequest.manual(symbol, here.clock.now(), Origin.PYTHON)).decision

    def publish(self, stage: str, decision: Decision, **headers: object) -> None:
        """A stage's message, as the chain itself would send it."""
        self._send(
            f"tasks.{stage}",
            stage,
            args=[decision.symbol],
            task_id=task_id(decision.decision_id, stage),
            headers={**decision.headers(), **headers},
        )

    def upkeep(self, *more: str) -> None:
        """What beat would ask for, as often as it would."""
        now = time.monotonic()
        if now - self._kept_up_at < UPKEEP_EVERY_S:
            return
        self._kept_up_at = now
        if now - self._reconciled_at >= RECONCILED_EVERY_S:
            self._reconciled_at, more = now, (*more, "tasks.reconcile")
        with suppress(OperationalError, redis.RedisError):
            for task in (*UPKEEP, *more):
                self._send(task, "upkeep", expires=UPKEEP_EXPIRES_S)

    @contextmanager
    def beat(self) -> Iterator[None]:
        """Somebody asks for the upkeep all the while, whatever this thread is waiting for."""
        over = Event()

        def fire() -> None:
            while not over.wait(UPKEEP_EVERY_S / 4):
                self.upkeep()
                if time.monotonic() - self._contention_at > CONTENTION_LOOKED_AT_EVERY_S:
                    self._contention_at = time.monotonic()
                    self.contention.look()

        thread = Thread(target=fire, name="beat")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _send(self, task: str, queue: str, **options: Any) -> None:
        self._celery.send_task(task, queue=queue, retry=False, **options)

    # -- accidents --------------------------------------------------------------------------------------------

    def at(self, point: CrashPoint, word: str, arrival: int = 1) -> None:
        """The next process to come to `point` for the n-th time is to `KILL` or `STOP` itself."""
        (self.plan / point).write_text(f"{word} {arrival}", encoding="utf-8")

    def hit(self, point: CrashPoint) -> int | None:
        """The process that the accident at `point` happened to; None while it has not."""
        for file in self.plan.glob(f"{point}.*"):
            return int(file.suffix[1:])
        return None

    def forget(self, point: CrashPoint) -> None:
        """Make room for the next accident at this point."""
        self._accidents += self._struck(f"{point}.*")
        for file in self.plan.glob(f"{point}*"):
            file.unlink(missing_ok=True)

    def _struck(self, files: str = "*.*") -> list[Accident]:
        """What happened at named points to somebody who worked on a symbol: each writes that down just before."""
        found = []
        for file in self.plan.glob(files):
            word, _, symbol = file.read_text(encoding="utf-8").partition(" ")
            if symbol.strip() and not symbol.strip().isdigit():
                since = datetime.fromtimestamp(file.stat().st_mtime, UTC)
                found.append(accident(f"{word} at {file.stem}", since, SENDER_MISSED_S, market_of(symbol)))
        return found

    def note(self, what: str, missed_s: float) -> None:
        """For the auditor: this happens now, and everybody may need so long to make up for it."""
        self._accidents.append(accident(what, datetime.now(UTC), missed_s))

    @contextmanager
    def outage(self, what: str, missed_s: float) -> Iterator[None]:
        """For the auditor: without `what` nothing can be done, and it is found again so long afterwards."""
        since = datetime.now(UTC)
        try:
            yield
        finally:
            self._accidents.append(replace(accident(what, datetime.now(UTC), missed_s), since=since))

    def frozen(self) -> list[psutil.Process]:
        """Every process of ours that is stopped now."""
        found = []
        for process in self.chain.processes.values():
            with suppress(psutil.Error):
                parent = psutil.Process(process.pid)
                family = [parent, *parent.children()]
                found += [each for each in family if each.status() == psutil.STATUS_STOPPED]
        return found

    def thaw(self) -> None:
        for process in self.frozen():
            with suppress(psutil.Error):
                process.resume()

    def control(self, path: str, body: object, method: str = "POST") -> Any:
        """The simulated exchange's own interface."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.chain.simulator.url}/_sim/{path}", data=data, method=method)  # noqa: S310 - our own address
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - our own address
            return json.load(answer)

    def make_older(self, decision: Decision, days: int) -> None:
        """As if the decision had been enqueued then: its times and its permit's lie in the past."""
        by = days * 86_400_000_000
        columns = {
            "decisions": ("slot", "enqueued_at", "expires_at", "deadline_at"),
            "permits": ("expires_at",),
        }
        with closing(sqlite3.connect(self.chain.home / "ledger.sqlite3")) as ledger, ledger:
            for table, names in columns.items():
                earlier = ", ".join(f"{name} = {name} - {by}" for name in names)
                ledger.execute(f"UPDATE {table} SET {earlier} WHERE decision_id = ?", (decision.decision_id,))  # noqa: S608

    def quiet_faults(self) -> list[str]:
        """The faults of the exchange that have not struck yet."""
        return [each["kind"] for each in self.control("faults", None, "GET")["faults"] if not each["struck"]]

    def decisions(self) -> int:
        """How many were opened so far, exits among them."""
        return sum(self.chain.counts().values())

    # -- the end ----------------------------------------------------------------------------------------------

    def unsettled(self) -> int:
        """Open decisions, and orders whose fate is open."""
        here = self.chain.pipeline
        with here.ledger.read() as unit:
            orders = [each for each in unit.orders.unsettled(here.account) if each.leg in MAIN_LEGS]
            return len(unit.decisions.still_open(here.account, here.clock.now(), MOST)) + len(orders)

    def drain(self, timeout: float = 60, *, heal: bool = True) -> None:
        """Wait until nothing is under way any more; the exchange is well meanwhile, unless told otherwise."""
        if heal:
            self.chain.heal()
        self.thaw()

        def quiet() -> bool:
            self.upkeep()
            with suppress(ThroughlineError):
                return self.unsettled() == 0
            return False

        wait_slowly(quiet, timeout, f"every decision to end; {self.chain.counts()}; {self.chain.tail()}")

    def evidence(self, foreign: Iterable[str] = ()) -> Evidence:
        eventually(self._journal_is_whole, 10, "the journal to be written")
        accidents = [*self._accidents, *self._struck()]
        journal = journal_file(self.journal)
        return read_evidence(
            self.ledger_url, journal, foreign, accidents=accidents, one_cycle_s=self.one_cycle_s()
        )

    @property
    def ledger_url(self) -> str:
        return self.chain.pipeline.settings.ledger_url

    def one_cycle_s(self) -> float:
        """From one cycle of protection to the end of the next, as slow as the machine has made all of it."""
        self.contention.look()
        return self.protect_every_s + PROTECTING_ALL_TAKES_S * self.contention.factor

    def audit(self, foreign: Iterable[str] = ()) -> list[Violation]:
        """What is broken. These tests run beside others: a process that nobody lets work protects nothing meanwhile."""
        evidence = self.evidence(foreign)
        return violations(replace(evidence, one_cycle_s=BUSY * evidence.one_cycle_s))

    def keep(self, name: str) -> Path:
        """Copy ledger, logs and journal to where they outlive this run."""
        place = ROOT / "var" / "faults" / name
        shutil.copytree(self.chain.home, place / "home", dirs_exist_ok=True)
        shutil.copy(self.journal, place)
        return place

    def _journal_is_whole(self) -> bool:
        """The simulator writes it out ten times a second."""
        before = self.control("health", None, "GET")["journal_seq"]
        last = last_line(self.journal)
        return bool(last) and json.loads(last)["seq"] >= before


def accident(what: str, since: datetime, missed_s: float, symbol: str = "") -> Accident:
    return Accident(what, since, since + timedelta(seconds=missed_s), symbol)


MAIN_LEGS = ("entry", "close")
MOST = 10_000


def last_line(file: Path) -> str:
    """The last whole line of a long file."""
    with file.open("rb") as lines:
        size = lines.seek(0, 2)
        lines.seek(max(0, size - 65536))
        whole = [line for line in lines.read().decode(errors="replace").split("\n")[:-1] if line]
    return whole[-1] if whole else ""


def wait_slowly(condition: Any, timeout: float, what: str, every_s: float = 0.4) -> None:
    """Like `eventually`, for conditions that ask a busy system to do something each time."""
    timeout *= BUSY
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(every_s)


@contextmanager
def rehearsal(*, seed: int, symbols: int, ledger_url: str = "", **settings: str) -> Iterator[Rehearsal]:
    """A pipeline without workers yet; everything is stopped at the end."""
    made = Rehearsal(seed=seed, symbols=symbols, ledger_url=ledger_url, **settings)
    try:
        yield made
    finally:
        made.stop()
