"""The parts of the long form: each runs a pipeline of its own, lets accidents happen, and audits what came of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from pipeline.execution.crashpoints import CrashPoint
from tests.fault.accidents import ROUGH, Storm, Traffic, set_faults, until
from tests.fault.audit import Evidence, Violation, violations
from tests.fault.audit.obstacles import unhindered_spells
from tests.fault.disasters import Outages, Parents
from tests.fault.rehearsal import Rehearsal, rehearsal
from tests.fault.weather import bad_day
from tests.support.servers import PostgresServer, Unavailable

SYMBOLS, UNDER_WAY = 60, 24
ON_BAD_DAYS, UNDER_WAY_THEN = 100, 40
"""More of them, for what an exchange left in doubt blocks its symbol for seconds."""
DAYS, SEEDS_IN_A_CELL, DECISIONS_A_DAY = 50, 10, 400
FASTER = {"EXCHANGE_TIMEOUT_S": "1", "EXCHANGE_PUBLIC_TIMEOUT_S": "1"}
RESTING = {"EXECUTION_ORDER": "limit", "EXECUTION_REST_S": "0.5", "EXECUTION_MAX_ATTEMPTS": "3"}
Say = Callable[[str], None]


@dataclass
class Tally:
    """What one part did, and what its audit found. `passes` of its decisions went through the chain, the others are
    exits; `under_faults` were opened while the exchange had faults. `skipped` says why it did nothing, `broke` why it
    could not be finished.
    """

    part: str
    seed: int
    ledger: str = "SQLite"
    skipped: str = ""
    outcomes: Counter[str] = field(default_factory=Counter)
    passes: int = 0
    under_faults: int = 0
    sent: int = 0
    accepted: int = 0
    fills: int = 0
    longest_bare_s: float = 0.0
    longest_unhindered_s: float = 0.0
    one_cycle_s: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)
    found: list[Violation] = field(default_factory=list)
    broke: str = ""

    @property
    def verdict(self) -> str:
        """In a word for the table."""
        if self.skipped or self.broke:
            return f"skipped: {self.skipped}" if self.skipped else f"BROKE: {self.broke[:300]}"
        return f"{len(self.found)} violations"

    def close(self, evidence: Evidence) -> None:
        """Count what is there, and apply every rule to it."""
        self.outcomes.update(row["outcome"] or "open" for row in evidence.decisions)
        self.passes += sum(row["opener"] is None for row in evidence.decisions)
        self.sent, self.accepted = sum(evidence.sent.values()), len(evidence.accepted)
        self.fills = len(evidence.traded)
        faults = (f"exchange {each['fault']}" for each in evidence.journal if each["kind"] == "fault")
        self.injected.update(faults)
        self.one_cycle_s = evidence.one_cycle_s
        spells = [*unhindered_spells(evidence)]
        self.longest_bare_s = max((spell.seconds for spell, _ in spells), default=0.0)
        self.longest_unhindered_s = max((seconds for _, seconds in spells), default=0.0)
        self.found += violations(evidence)


@dataclass(frozen=True)
class Plan:
    """How much of everything, and where from."""

    seed: int
    scale: float
    say: Say

    def share(self, full: int) -> int:
        return max(1, round(full * self.scale))

    def dice(self) -> random.Random:
        return random.Random(self.seed)


def kills(plan: Plan) -> Tally:
    """Children killed at every named point, their parents killed and stopped."""
    return _kills(plan, "kills", "", each=10, parents={"KILL": 10, "TERM": 10})


def kills_while_resting(plan: Plan) -> Tally:
    """The same with orders that rest, are priced anew and follow each other."""
    return _kills(plan, "kills, resting", "", each=2, parents={"KILL": 1, "TERM": 1}, settings=RESTING)


def kills_on_postgres(plan: Plan) -> Tally:
    """The same with the ledger on PostgreSQL."""
    try:
        server = PostgresServer()
    except Unavailable as reason:
        return Tally("kills, PostgreSQL", plan.seed, "PostgreSQL", skipped=str(reason))
    try:
        url = server.url(server.create_database())
        return _kills(plan, "kills, PostgreSQL", url, each=5, parents={"KILL": 3, "TERM": 3})
    finally:
        server.stop()


def _kills(
    plan: Plan,
    name: str,
    ledger_url: str,
    *,
    each: int,
    parents: Mapping[str, int],
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Tally:
    tally = Tally(name, plan.seed, "PostgreSQL" if ledger_url else "SQLite")
    with kept(name, plan, SYMBOLS, ledger_url, **settings) as on:
        on.start(upkeep=2)
        wanted = Counter(dict.fromkeys(CrashPoint, plan.share(each)))
        ended = Counter({word: plan.share(count) for word, count in parents.items()})
        storm = Storm(on, "KILL", wanted, plan.dice(), injected=tally.injected)
        ends = Parents(on, ended, plan.dice(), spare=True, injected=tally.injected)
        set_faults(on, *ROUGH)
        _rage(on, plan, (storm.step, ends.step), lambda: storm.is_over and ends.is_over, tally)
        storm.call_off()
        _finish(on, tally)
    return tally


def freezes(plan: Plan) -> Tally:
    """Processes frozen at every named point and thawed up to six seconds later, between last check and send too."""
    tally = Tally("freezes", plan.seed)
    with kept(tally.part, plan, SYMBOLS) as on:
        on.start(orders=4, upkeep=3)
        wanted = Counter(dict.fromkeys(CrashPoint, plan.share(5)))
        storm = Storm(on, "STOP", wanted, plan.dice(), longest_freeze_s=6.0, injected=tally.injected)
        set_faults(on, *ROUGH)
        _rage(on, plan, (storm.step,), lambda: storm.is_over, tally)
        storm.call_off()
        _finish(on, tally)
    return tally


def outages(plan: Plan) -> Tally:
    """Redis killed and started again, and emptied, with messages under way."""
    tally = Tally("Redis", plan.seed)
    with kept(tally.part, plan, SYMBOLS) as on:
        on.start(upkeep=1)
        wanted = Counter(killed=plan.share(50), flushed=plan.share(10))
        storm = Outages(on, wanted, plan.dice(), injected=tally.injected)
        set_faults(on, *ROUGH)
        _rage(on, plan, (storm.step,), lambda: storm.is_over, tally)
        _finish(on, tally)
    return tally


def bad_days(cell: int, plan: Plan) -> Tally:
    """Decisions under every fault of the exchange, a new bad day for each seed: one of the cells that share them."""
    first, days = cell * SEEDS_IN_A_CELL, plan.share(SEEDS_IN_A_CELL)
    return _bad_days(plan, f"exchange {cell + 1}", range(first, first + days), {})


def bad_days_while_resting(plan: Plan) -> Tally:
    """Some of the bad days with orders that rest."""
    return _bad_days(plan, "exchange, resting", range(DAYS, DAYS + plan.share(4)), RESTING)


def _bad_days(plan: Plan, name: str, days: range, settings: Mapping[str, str]) -> Tally:
    tally = Tally(name, plan.seed)
    with kept(name, replace(plan, seed=plan.seed + days.start), ON_BAD_DAYS, **settings) as on:
        on.start(market=2, orders=4, upkeep=3)
        traffic = Traffic(on)
        for day in (plan.seed + number for number in days):
            on.chain.heal()
            on.control("dice", {"seed": day})
            set_faults(on, *bad_day(day))
            goal = on.decisions() + DECISIONS_A_DAY
            flow = (lambda: traffic.keep(UNDER_WAY_THEN),)
            if not until(lambda goal=goal: on.decisions() >= goal, flow, 75, 0.1):  # type: ignore[misc]
                raise TimeoutError(f"the pipeline does not move on the day of seed {day}")
            tally.injected["seeds"] += 1
            plan.say(f"{name}: seed {day}, {on.decisions()} decisions")
        tally.under_faults = on.decisions()
        _finish(on, tally)
    return tally


def _rage(
    on: Rehearsal, plan: Plan, steps: Sequence[Callable[[], None]], over: Callable[[], bool], tally: Tally
) -> None:
    """Traffic and accidents until all have happened."""
    traffic, told = Traffic(on), [0]

    def progress() -> None:
        done = sum(tally.injected.values())
        if done >= told[0] + 20:
            told[0] = done
            plan.say(f"{tally.part}: {done} accidents, {traffic.enqueued} decisions")

    flow = (*steps, lambda: traffic.keep(UNDER_WAY), progress)
    if not until(over, flow, 300):
        raise TimeoutError(f"{tally.part}: not all accidents could happen: {dict(tally.injected)}")
    tally.under_faults = on.decisions()


@contextmanager
def kept(name: str, plan: Plan, symbols: int, ledger_url: str = "", **settings: str) -> Iterator[Rehearsal]:
    """A rehearsal whose evidence outlives it when it could not be finished."""
    with rehearsal(seed=plan.seed, symbols=symbols, ledger_url=ledger_url, **FASTER, **settings) as on:
        try:
            with on.beat():
                yield on
        except Exception:
            plan.say(f"{name}: broke; kept in {on.keep(f'{name}-{plan.seed}')}")
            raise


def _finish(on: Rehearsal, tally: Tally) -> None:
    on.drain(180)
    tally.close(on.evidence())
    if tally.found:
        on.keep(f"{tally.part}-{tally.seed}")


PARTS: Mapping[str, Sequence[Callable[[Plan], Tally]]] = {
    "exchange": [partial(bad_days, cell) for cell in range(DAYS // SEEDS_IN_A_CELL)],
    "kills": [kills],
    "freezes": [freezes],
    "postgres": [kills_on_postgres],
    "redis": [outages],
    "resting": [kills_while_resting, bad_days_while_resting],
}
"""Each in as many pieces as can be done side by side."""
