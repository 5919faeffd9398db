"""The whole chain as real processes: Redis, a simulated exchange, a ledger, workers, and beat where wanted."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
from celery import Celery

from config.loading import load
from pipeline.bootstrap import QUOTE_SHARED_FOR, Pipeline, build
from pipeline.domain.decisions import Decision, Origin, Stage
from pipeline.domain.ids import DecisionId, task_id
from pipeline.domain.switches import TradingState
from pipeline.domain.timeframes import SystemClock
from pipeline.stages.opening import PassRequest
from tasks.policies import publish_options, task_name
from tests.support.clients import trusted_client
from tests.support.processes import Started, temporary_folder
from tests.support.servers import LOOPBACK, RedisServer, Simulator
from tests.support.waiting import eventually

STRATEGIES = Path(__file__).parent / "strategies"
UPKEEP_EVERY_S = 0.25
WORKERS = {"market": "fetch,evaluate", "orders": "validate,execute,upkeep"}


@dataclass
class ChainProcesses:
    """One running pipeline. `settings` are THROUGHLINE_* variables; `ledger_url` empty means SQLite in the home.
    `address`: where its servers listen.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    simulator_options: Sequence[str] = ("--seed", "7")
    ledger_url: str = ""
    address: str = LOOPBACK

    def __post_init__(self) -> None:
        self.home = temporary_folder("home")
        self.redis = RedisServer(address=self.address)
        self.simulator = Simulator(*self.simulator_options, address=self.address)
        self.processes: dict[str, Started] = {}
        self._all: list[Started] = []
        self.env = {**self._defaults(), **self.settings}
        self.pipeline.ledger.migrate()
        self.arm()

    def _defaults(self) -> dict[str, str]:
        told = {
            "HOME": str(self.home),
            "REDIS_URL": self.redis.url,
            "SIMULATOR_URL": self.simulator.url,
            "EXCHANGE_API_KEY": "sim-key",
            "EXCHANGE_API_SECRET": "sim-secret",
            "UNIVERSE_SYMBOLS": "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,ADAUSDT",
            "MARKET_TIMEFRAMES": "1m,5m,15m",
            "MARKET_WAIT_FOR_BARS_S": "10",  # on a busy machine a stage would come twice for its bars
            "STRATEGIES_FOLDER": str(STRATEGIES),
            "STRATEGIES_ENABLED": "never_trades",
            "CHAIN_CADENCE_S": "60",  # whose subject is not time must not run out of it: nor here, nor with a permit
            "CHAIN_DEADLINE_S": "60",
            "CHAIN_RESUME_AFTER_S": "3",
            "CHAIN_SWEEP_EVERY_S": "0.5",
            "CHAIN_RESOLVE_EVERY_S": "0.5",
            "CHAIN_EQUITY_EVERY_S": "2",
            "EXCHANGE_TIMEOUT_S": "3",
            "EXCHANGE_RECEIVE_WINDOW_MS": "1000",
            "EXECUTION_NOT_PLACED_MARGIN_S": "2",
            "GOVERNOR_PERMIT_TTL_S": "60",
            "GOVERNOR_MAX_POSITIONS": "50",
            "GOVERNOR_RECONCILED_MAX_AGE_S": "600",
            "GOVERNOR_MAX_CLOCK_SKEW_S": "5",
            "GOVERNOR_EQUITY_MAX_AGE_S": "600",  # without beat nothing refreshes it
        }
        ledger = {"LEDGER_URL": self.ledger_url} if self.ledger_url else {}
        return {f"THROUGHLINE_{name}": value for name, value in {**told, **ledger}.items()}

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline as this test sees it: the same settings, its own connections."""
        if not hasattr(self, "_pipeline"):
            self._pipeline = build(load(env=self.env))
        return self._pipeline

    def arm(self) -> None:
        """Let it trade, with an equity to size by."""
        with self.pipeline.ledger.begin() as unit:
            unit.switches.set_trading_state(
                self.pipeline.account,
                TradingState.ACTIVE,
                by="test",
                reason="rehearsal",
                at=SystemClock().now(),
            )
        self.pipeline.refresh_equity()
        self.pipeline.safeguarding.reconcile()

    # -- processes --------------------------------------------------------------------------------------------

    def start_worker(
        self, name: str, queues: str = "", concurrency: int = 1, env: Mapping[str, str] | None = None
    ) -> Started:
        """A Celery worker in a process of its own; ready when this returns."""
        process = self.launch_worker(name, queues, concurrency, env)
        self.await_workers(name)
        return process

    def start_workers(self) -> None:
        """Both at once; ready when this returns."""
        for name in WORKERS:
            self.launch_worker(name)
        self.await_workers(*WORKERS)

    def launch_worker(
        self, name: str, queues: str = "", concurrency: int = 1, env: Mapping[str, str] | None = None
    ) -> Started:
        """A worker that is on its way to be ready."""
        flags = ["-n", f"{name}@%h", "-Q", queues or WORKERS[name], "-c", str(concurrency), "-E"]
        return self.start(name, "", "worker", *flags, "--without-gossip", "--without-mingle", env=env)

    def await_workers(self, *names: str) -> None:
        for name in names:
            self._await_ready(name)

    def start_beat(self, name: str = "beat") -> Started:
        return self.start(name, "", "beat", "--pidfile=")

    def start(self, name: str, ready: str, *arguments: str, env: Mapping[str, str] | None = None) -> Started:
        """One of Celery's own commands; waits until it has said `ready`, if that is given."""
        command = [sys.executable, "-m", "celery", "-A", "tasks", *arguments]
        process = self._started(name, command, self.home / f"{name}.out", {**self.env, **(env or {})})
        self.processes[name] = process
        if ready:
            self._await_ready(name)
        return process

    def _started(self, name: str, command: Sequence[str], out: Path, env: Mapping[str, str]) -> Started:
        process = Started(name, command, out, env=env)
        self._all.append(process)
        return process

    def _await_ready(self, name: str) -> None:
        process = self.processes[name]
        eventually(
            lambda: self._is_ready(name), 40, f"{name} to be ready; it said {process.output()[-1500:]}"
        )

    def _is_ready(self, name: str) -> bool:
        process = self.processes[name]
        if not process.is_running():
            raise RuntimeError(f"{name} ended and said:\n{process.output()[-4000:]}")
        return any("ready." in line for line in self.log_lines(name))

    def stop(self) -> None:
        """Ends everything it ever started, also what a failed test left frozen or under a name that was used again."""
        for process in {*self._all, *self.processes.values()}:
            process.stop(signal.SIGKILL)  # nobody looks any more: how it ends when asked is tested elsewhere
        self.pipeline.ledger.close()
        self.simulator.stop()
        self.redis.stop()

    # -- what people do ---------------------------------------------------------------------------------------

    def run(self, *arguments: str, code: int | None = 0) -> Started:
        """A `throughline` command; waits for it and checks its exit code unless `code` is None."""
        command = [sys.executable, "-m", "console", *arguments]
        out = self.home / f"cli-{len(list(self.home.iterdir()))}.out"
        process = self._started(arguments[0], command, out, self.env)
        returned = process.wait(60)
        if code is not None and returned != code:
            raise AssertionError(f"{' '.join(arguments)} exited {returned}, not {code}:\n{process.output()}")
        return process

    def enqueue(self, symbol: str = "BTCUSDT") -> DecisionId:
        """One decision now."""
        with trusted_client("somebody", self.redis.url, self.home) as client:
            return self._enqueued(client, self.pipeline.canonical(symbol))

    def passes(self, symbols: Sequence[str], timeout: float = 60) -> list[Decision]:
        """One pass over each, all asked for at once as upkeep would; as they ended."""
        with trusted_client("somebody", self.redis.url, self.home) as client:
            ids = [self._enqueued(client, symbol) for symbol in symbols]
        return [self.ended(each, timeout) for each in ids]

    def _enqueued(self, client: Celery, symbol: str) -> DecisionId:
        here = self.pipeline
        decision = here.open(PassRequest.manual(symbol, here.clock.now(), Origin.PYTHON)).decision
        if decision.is_open:
            client.send_task(
                task_name(Stage.FETCH),
                args=(symbol,),
                task_id=task_id(decision.decision_id, "fetch"),
                root_id=decision.decision_id,
                headers=dict(decision.headers()),
                **publish_options(Stage.FETCH, decision),
            )
        return decision.decision_id

    # -- what is to be seen -----------------------------------------------------------------------------------

    def decision(self, decision_id: DecisionId) -> Decision:
        with self.pipeline.ledger.read() as unit:
            found = unit.decisions.get(decision_id)
        assert found is not None, f"{decision_id} is not in the ledger"
        return found

    def ended(self, decision_id: DecisionId, timeout: float = 20) -> Decision:
        """The decision, once it has ended."""

        def look() -> Decision | None:
            found = self.decision(decision_id)
            return None if found.is_open else found

        return eventually(look, timeout, f"{decision_id} to end; {self.tail()}")

    def wait_with_upkeep(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait for a condition where no beat runs: this asks for the upkeep that beat would ask for, and not faster
        than a busy worker can do it.
        """
        with trusted_client("upkeep", self.redis.url, self.home) as celery:
            asked_at = float("-inf")

            def kept_up() -> bool:
                nonlocal asked_at
                if time.monotonic() - asked_at >= UPKEEP_EVERY_S:
                    asked_at = time.monotonic()
                    for task in ("tasks.sweep", "tasks.resolve"):
                        celery.send_task(task, queue="upkeep", expires=5)
                return condition()

            eventually(kept_up, timeout, f"{what}; {self.tail()}")

    def trace(self, decision_id: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.run("trace", decision_id, "--json").output())
        return told

    def counts(self) -> Mapping[str, int]:
        with self.pipeline.ledger.read() as unit:
            return unit.decisions.counts()

    def placed(self) -> list[dict[str, Any]]:
        """Every order that the exchange accepted, from its own journal."""
        with urlopen(f"{self.simulator.url}/_sim/journal?kind=order_accepted", timeout=60) as answer:  # noqa: S310 - our own address
            body = json.load(answer)
        entries: list[dict[str, Any]] = body["entries"] if isinstance(body, dict) else body
        return entries

    def fault(self, kind: str, **fields: object) -> None:
        """Make the exchange misbehave; see docs/simulator.md for the kinds."""
        self._control("POST", {"kind": kind, **fields})

    def let_quotes_age(self) -> None:
        """Until who judges a symbol asks for its quote alone: of one answer about all symbols, which several in a row
        share, a fault of one symbol's question knows nothing.
        """
        exchange = self.pipeline.exchange
        longest = timedelta(seconds=self.pipeline.settings.governor.quote_max_age_s) * QUOTE_SHARED_FOR
        last = exchange.now()
        eventually(lambda: exchange.now() > last + longest, 30, "what was asked for lately to be long ago")

    def heal(self) -> None:
        """The exchange behaves again."""
        self._control("DELETE", None)

    def _control(self, method: str, body: object) -> None:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.simulator.url}/_sim/faults", data=data, method=method)  # noqa: S310 - our own address
        request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=60):  # noqa: S310 - our own address
            pass

    def requests_for(self, path: str) -> list[dict[str, Any]]:
        """Every request for a path that the exchange has seen."""
        return [entry for entry in self.simulator.journal() if entry.get("path") == path]

    def child_of(self, name: str) -> psutil.Process:
        """The pool process that works for a worker with a concurrency of 1."""
        (child,) = psutil.Process(self.processes[name].pid).children()
        return child

    def log_lines(self, name: str = "") -> list[str]:
        """All log lines of one process' output and log files, or of the combined file."""
        files = (
            [self.home / f"{name}.out", *self.home.glob(f"logs/*{name}*")]
            if name
            else [self.home / "logs/all.jsonl"]
        )
        return [
            line for file in files if file.exists() for line in file.read_text(errors="replace").splitlines()
        ]

    def tail(self) -> str:
        """The ends of all outputs, for a failing test's message."""
        return "\n".join(f"--- {name}: {process.output()[-800:]}" for name, process in self.processes.items())


@contextmanager
def chain_processes(
    simulator_options: Sequence[str] = ("--seed", "7"), ledger_url: str = "", **settings: str
) -> Iterator[ChainProcesses]:
    """A chain without workers yet; everything it started is stopped at the end. Settings without THROUGHLINE_."""
    told = {f"THROUGHLINE_{name}": value for name, value in settings.items()}
    chain = ChainProcesses(told, simulator_options, ledger_url)
    try:
        yield chain
    finally:
        chain.stop()
