"""The processes of a benchmark: Redis, the simulated exchange, workers, an enqueuing process, a ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import requests

from benchmarks import noop
from benchmarks.variables import ENDS_FILE
from config.home import ensure_home
from config.loading import load
from console import roles
from pipeline.bootstrap import Pipeline, build
from pipeline.domain.decisions import Decision
from pipeline.domain.ids import DecisionId
from pipeline.domain.orders import OrderState, may_step
from pipeline.domain.switches import TradingState
from tests.support.processes import ROOT, Started, child_environment, temporary_folder
from tests.support.servers import PostgresServer, RedisServer, Simulator

STRATEGIES = ROOT / "tests" / "support" / "strategies"
BALANCE = "100000000"
SIMULATOR = (
    "--seed",
    "7",
    "--balance",
    BALANCE,
    "--weight-limit",
    "100000000",
    "--order-limit-10s",
    "1000000",
    "--order-limit-1m",
    "1000000",
)
LOOK_AGAIN_S = 0.02
PATIENCE_S = 120.0

SETTINGS = {
    "EXCHANGE_API_KEY": "sim-key",
    "EXCHANGE_API_SECRET": "sim-secret",
    "STRATEGIES_FOLDER": str(STRATEGIES),
    # No bar closes between two passes over a symbol, no message expires: what is measured is the steady state.
    "MARKET_TIMEFRAMES": "30m,1h,4h",
    "CHAIN_CADENCE_S": "600",
    "CHAIN_DEADLINE_S": "600",
    # Every pass judges, although its bars are those of the pass before.
    "CHAIN_SKIP_UNCHANGED": "false",
    # Beat does not run: the equity is refreshed before each block.
    "GOVERNOR_EQUITY_MAX_AGE_S": "3600",
    "GOVERNOR_RECONCILED_MAX_AGE_S": "3600",
    # What slows a person's account down would slow the measurement down.
    "EXCHANGE_WEIGHT_PER_MINUTE": "100000000",
    "EXCHANGE_ORDERS_PER_10S": "1000000",
    "EXCHANGE_ORDERS_PER_MINUTE": "1000000",
    "GOVERNOR_MAX_ORDERS_PER_S": "100000",
    "GOVERNOR_MAX_ORDERS_PER_MINUTE": "1000000",
    "GOVERNOR_MAX_ORDERS_PER_DAY": "10000000",
    "GOVERNOR_MAX_REPEATS": "100000",
    "GOVERNOR_MAX_REJECTS": "100000",
    "GOVERNOR_MAX_KILL_SCORE": "1000000",
    "GOVERNOR_COOLDOWN_AFTER_LOSS_S": "0.001",
    "GOVERNOR_MAX_POSITIONS": "10000",
    "GOVERNOR_MAX_EXPOSURE_USDT": "1000000000",
    "GOVERNOR_DUPLICATE_WITHIN_S": "0.001",
    # The decision price is the close of a bar that may be 29 minutes old: bounds that every symbol stays within.
    "EXECUTION_SLIPPAGE_BPS": "500",
    "GOVERNOR_PRICE_COLLAR_BPS": "2000",
}


class Opener:
    """The enqueuing process; see `benchmarks/opener.py`."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        with log.open("ab") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.opener"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=child_environment(env),
                text=True,
            )
        self._log = log

    @property
    def pid(self) -> int:
        return self._popen.pid

    def ask(self, do: str, **details: object) -> list[str]:
        """Run one command and wait until everything is published."""
        assert self._popen.stdin is not None  # noqa: S101 - for the type checker
        assert self._popen.stdout is not None  # noqa: S101 - the same
        self._popen.stdin.write(json.dumps({"do": do, **details}) + "\n")
        self._popen.stdin.flush()
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError(f"the enqueuing process ended and said:\n{self._log.read_text()[-3000:]}")
        answer: list[str] = json.loads(line)
        return answer

    def stop(self) -> None:
        self._popen.communicate(timeout=20)


class Rig:
    """Everything that a benchmark runs, started for it and stopped with it."""

    def __init__(
        self,
        *,
        symbols: int,
        strategies: str,
        postgres: PostgresServer | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.home = temporary_folder("bench")
        self.ends = self.home / "ends"
        self.ends.touch()
        self.redis = RedisServer()
        self.simulator = Simulator(*SIMULATOR, "--symbols", str(symbols))
        self.postgres = postgres
        self.workers: dict[str, Started] = {}
        self.env = self._environment({"STRATEGIES_ENABLED": strategies, **settings})
        self.pipeline = self._prepared()
        self.symbols = tuple(self.pipeline.universe().symbols)
        self.opener = Opener(self.env, self.home / "opener.log")

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        told = {
            **SETTINGS,
            "HOME": str(self.home),
            "REDIS_URL": self.redis.url,
            "SIMULATOR_URL": self.simulator.url,
            **settings,
        }
        if self.postgres is not None:
            told["LEDGER_URL"] = self.postgres.url(self.postgres.create_database())
        return {ENDS_FILE: str(self.ends), **{f"THROUGHLINE_{name}": value for name, value in told.items()}}

    def _prepared(self) -> Pipeline:
        """The pipeline as this process sees it, its ledger created and armed, its universe all that is listed."""
        ensure_home(self.home)
        listed = build(
            load(env={**self.env, "THROUGHLINE_UNIVERSE_SYMBOLS": "BTCUSDT"})
        ).exchange.instruments()
        self.env["THROUGHLINE_UNIVERSE_SYMBOLS"] = ",".join(sorted(listed.by_symbol))
        pipeline = build(load(env=self.env))
        pipeline.ledger.migrate()
        with pipeline.ledger.begin() as unit:
            unit.switches.set_trading_state(
                pipeline.account,
                TradingState.ACTIVE,
                by="benchmark",
                reason="benchmark",
                at=pipeline.clock.now(),
            )
        pipeline.refresh_equity()
        pipeline.safeguarding.reconcile()
        return pipeline

    # -- processes --------------------------------------------------------------------------------------------

    def start_workers(self, *, solo: bool = False) -> None:
        """The two workers of `throughline up`, or with `solo` two single processes instead of the market worker."""
        if solo:
            for number in (1, 2):
                command = roles.worker(roles.QUEUES_OF["market"], concurrency=1, name=f"market{number}")
                self._start(f"market{number}", (*command, "--pool", "solo"))
        else:
            self._start_worker("market", self.pipeline.settings.workers.market_processes)
        self._start_worker("orders", self.pipeline.settings.workers.orders_processes)

    def _start_worker(self, name: str, children: int) -> None:
        self._start(name, roles.worker(roles.QUEUES_OF[name], concurrency=children, name=name))

    def start_noop_workers(self) -> None:
        """The same two for the empty chains."""
        for name, queues, children in (
            ("noop-market", noop.MARKET_QUEUES, 2),
            ("noop-orders", noop.ORDERS_QUEUES, self.pipeline.settings.workers.orders_processes),
        ):
            command = roles.worker(queues, concurrency=children, name=name)
            self._start(name, tuple("benchmarks.noop" if part == "tasks" else part for part in command))

    def start_feed(self) -> None:
        """The feed of `throughline up`."""
        self._start("feed", roles.feed())

    def start_beat(self) -> None:
        """The safety net, and who asks for the upkeep."""
        self._start("beat", roles.beat())

    def _start(self, name: str, command: Sequence[str]) -> None:
        self.workers[name] = Started(name, command, self.home / f"{name}.out", env=self.env)

    def stop_workers(self) -> None:
        for name in list(self.workers):
            self.workers.pop(name).stop()

    def stop(self) -> None:
        self.opener.stop()
        self.stop_workers()
        self.pipeline.ledger.close()
        self.simulator.stop()
        self.redis.stop()

    @property
    def roles(self) -> dict[str, list[int]]:
        """The process ids behind each line of the CPU table; empty chains use their own workers."""
        found = {name: [worker.pid] for name, worker in self.workers.items()}
        ledger = {"postgres": [self.postgres.process.pid]} if self.postgres else {}
        servers = {"redis": [self.redis.process.pid], "exchange": [self.simulator.process.pid]}
        return {**found, "opener": [self.opener.pid], **servers, **ledger}

    # -- what the measurements do -----------------------------------------------------------------------------

    def decide(self, symbols: Sequence[str]) -> list[DecisionId]:
        """One decision over each symbol; returns when all have ended."""
        ids = self.opener.ask("decisions", symbols=list(symbols))
        self.await_decisions()
        return [DecisionId(each) for each in ids]

    def flow(self, symbols: Sequence[str], count: int) -> list[DecisionId]:
        """`count` decisions over these symbols as fast as may be; returns when all have ended."""
        ids = self.opener.ask("flow", symbols=list(symbols), count=count)
        self.await_decisions()
        return [DecisionId(each) for each in ids]

    def run_chains(self, symbols: Sequence[str], length: int) -> list[float]:
        """One empty chain for each symbol, all at once; returns after how many milliseconds each ended."""
        before = self.ends.stat().st_size
        self.opener.ask("chains", symbols=list(symbols), length=length)
        wanted = before + len(symbols) * noop.END_LENGTH
        self._await(lambda: self.ends.stat().st_size >= wanted, f"{len(symbols)} empty chains")
        with self.ends.open() as ends:
            ends.seek(before)
            return [float(line) for line in ends]

    def await_decisions(self) -> None:
        self._await(lambda: not self._open_decisions(), "decisions")

    def _open_decisions(self) -> int:
        with self.pipeline.ledger.engine.connect() as connection:
            count: int = connection.exec_driver_sql(
                "SELECT count(*) FROM decisions WHERE ended_at IS NULL"
            ).scalar_one()
        return count

    def _await(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not end in {PATIENCE_S:g} s; {self.last_words()}")
            time.sleep(LOOK_AGAIN_S)

    def last_words(self) -> str:
        return "\n".join(f"--- {name}: {worker.output()[-1500:]}" for name, worker in self.workers.items())

    def ended(self, ids: Sequence[DecisionId]) -> list[Decision]:
        """These decisions as the ledger has them."""
        with self.pipeline.ledger.read() as unit:
            found = [unit.decisions.get(each) for each in ids]
        return [decision for decision in found if decision is not None]

    def worked(self, ids: Sequence[DecisionId]) -> set[str]:
        """The workers that ran a stage of these decisions."""
        with self.pipeline.ledger.read() as unit:
            return {record.worker for each in ids for record in unit.stages.of(each)}

    def flatten(self) -> None:
        """A block starts with no position and no resting order, on the exchange and in the ledger, and the next one
        may buy the same again. What is in the wallet stays, or the books would not explain it.
        """
        url = f"{self.simulator.url}/_sim/accounts"
        wallet = requests.get(f"{url}/sim-key", timeout=10).json()["wallet_balance"]
        account = {"api_key": "sim-key", "api_secret": "sim-secret", "balance": wallet}
        requests.post(url, json=account, timeout=10).raise_for_status()  # anew, without a history
        now = self.pipeline.clock.now()
        with self.pipeline.ledger.begin() as unit:
            for order in unit.orders.unsettled(self.pipeline.account):
                if may_step(order.state, OrderState.CANCELED):
                    unit.orders.step(order, OrderState.CANCELED, now)
            for position in unit.positions.all_open(self.pipeline.account):
                closed = replace(position, qty=position.qty * 0, closed_by=position.opened_by, closed_at=now)
                unit.positions.save(closed)
        self.pipeline.safeguarding.reconcile()  # upkeep may have compared in between, and would keep all closed


@contextmanager
def rig(
    *,
    symbols: int,
    strategies: str,
    postgres: PostgresServer | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Rig]:
    """A rig without workers yet. `settings` without THROUGHLINE_."""
    made = Rig(symbols=symbols, strategies=strategies, postgres=postgres, settings=settings)
    try:
        yield made
    finally:
        made.stop()


def machine() -> dict[str, object]:
    """What the numbers are from."""
    return {"cores": os.cpu_count(), "python": sys.version.split()[0], "system": os.uname().sysname}
