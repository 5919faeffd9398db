"""The measurements: CPU in blocks that alternate with empty chains, latency one at a time, throughput."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import cpu
from benchmarks.rig import Rig
from pipeline.domain.decisions import Decision
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import Outcome

IDLE_S = 3.0
SETTLE_S = 0.6  # the last messages are acknowledged and the last task events sent after the ledger is done
WARMING_PASSES = 20
FEWEST = 30

EXCHANGE = "exchange"
DECISION_ROLES = ("market", "orders", "opener", "redis", "postgres")
CHAIN_ROLES = ("noop-market", "noop-orders", "opener", "redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured. `block` decisions make one reading of the CPU; medians are taken over `rounds`."""

    symbols: int
    block: int
    rounds: int
    singles: int
    flow: int
    flows: int
    pools: Sequence[str]


FULL = Plan(symbols=300, block=150, rounds=5, singles=200, flow=1200, flows=3, pools=("prefork", "solo"))
QUICK = Plan(symbols=60, block=50, rounds=3, singles=30, flow=240, flows=1, pools=("prefork",))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of decision: which strategies bring it about, how many stages it has, how it ends."""

    name: str
    strategies: str
    length: int
    outcome: Outcome
    share: float
    """Of the plan's numbers: a decision that trades takes several times as long as one that does not."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("no_signal", "adaptive_ob,adaptive_str", 2, Outcome.NO_SIGNAL, 1.0),
        Kind("executed", "adaptive_ob,adaptive_str,always_buys", 4, Outcome.EXECUTED, 0.4),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU milliseconds of one decision and of one empty chain, by role; medians over the rounds.

    `others`: how many decisions ended otherwise than they should, by reason; a few do no harm.
    """

    decision: Mapping[str, float]
    chain: Mapping[str, float]
    exchange: float
    ratio: float
    others: Mapping[str, int]

    @property
    def decision_ms(self) -> float:
        return self.decision["total"]

    @property
    def chain_ms(self) -> float:
        return self.chain["total"]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from enqueueing to the end."""

    median: float
    p99: float

    @classmethod
    def of(cls, each_ms: Sequence[float]) -> Latency:
        return cls(statistics.median(each_ms), statistics.quantiles(each_ms, n=100)[98])


# ----------------------------------------------------------------------------------------------- before all


def suitable(rig: Rig, kind: Kind) -> list[str]:
    """A first pass over every symbol fills the candle store; those that end as wanted are measured."""
    ended = rig.ended(rig.decide(rig.symbols))
    found = [decision.symbol for decision in ended if decision.outcome is kind.outcome]
    if not found:
        reasons = Counter(str(decision.reason) for decision in ended)
        raise RuntimeError(f"no symbol ends as {kind.outcome}: {dict(reasons)}")
    rig.flatten()
    rig.run_chains(rig.symbols[:20], kind.length)
    return found


def warmed(rig: Rig, symbols: Sequence[str], workers: int) -> None:
    """Let decisions run until each of the workers has done some: it has its instruments and strategies now."""
    seen: set[str] = set()
    for _ in range(WARMING_PASSES):
        seen |= rig.worked(rig.decide(symbols[:40]))
        if len(seen) >= workers:
            return
    raise RuntimeError(f"only {sorted(seen)} of {workers} workers ever did anything")


# ------------------------------------------------------------------------------------------------------ CPU


def cost(rig: Rig, kind: Kind, symbols: Sequence[str], plan: Plan, say: Callable[[str], None]) -> Cost:
    """Rounds of a block of empty chains and a block of decisions, less what the processes spend idling."""
    idle = cpu.spent(rig.roles, lambda: time.sleep(IDLE_S))
    block = list(symbols[: max(FEWEST, round(plan.block * kind.share))])
    ended: list[Decision] = []
    chains, decisions = [], []
    for number in range(plan.rounds):
        chains.append(_block(rig, idle, len(block), lambda: rig.run_chains(block, kind.length)))
        decisions.append(_block(rig, idle, len(block), lambda: ended.extend(rig.ended(rig.decide(block)))))
        rig.flatten()
        say(f"{kind.name}: CPU, round {number + 1} of {plan.rounds}")
    others = Counter(str(each.reason) for each in ended if each.outcome is not kind.outcome)
    return _compared(chains, decisions, others)


def _block(rig: Rig, idle: cpu.Spent, count: int, work: Callable[[], object]) -> dict[str, float]:
    """CPU milliseconds of one of the `count`, by role."""

    def settled() -> None:
        work()
        time.sleep(SETTLE_S)

    used = cpu.spent(rig.roles, settled).without(idle)
    return {role: seconds * 1000 / count for role, seconds in used.cpu.items()}


def _compared(
    chains: Sequence[dict[str, float]], decisions: Sequence[dict[str, float]], others: Mapping[str, int]
) -> Cost:
    chain_totals = [_total(each, CHAIN_ROLES) for each in chains]
    totals = [_total(each, DECISION_ROLES) for each in decisions]
    return Cost(
        decision={**_medians(decisions, DECISION_ROLES), "total": statistics.median(totals)},
        chain={**_medians(chains, CHAIN_ROLES), "total": statistics.median(chain_totals)},
        exchange=statistics.median(each[EXCHANGE] for each in decisions),
        ratio=statistics.median(mine / empty for mine, empty in zip(totals, chain_totals, strict=True)),
        others=others,
    )


def _total(each: Mapping[str, float], roles: Sequence[str]) -> float:
    return sum(each.get(role, 0.0) for role in roles)


def _medians(rounds: Sequence[Mapping[str, float]], roles: Sequence[str]) -> dict[str, float]:
    return {role: statistics.median(each[role] for each in rounds) for role in roles if role in rounds[0]}


# ------------------------------------------------------------------------------------- latency and throughput


def latency(rig: Rig, kind: Kind, symbols: Sequence[str], plan: Plan) -> tuple[Latency, Latency]:
    """Of decisions and of empty chains, one at a time, taking turns."""
    mine, empty = [], []
    for number in range(max(FEWEST, round(plan.singles * kind.share))):
        symbol = symbols[number % len(symbols)]
        empty += rig.run_chains([symbol], kind.length)
        mine += [_took_ms(decision) for decision in rig.ended(rig.decide([symbol]))]
        rig.flatten()
    return Latency.of(mine), Latency.of(empty)


def _took_ms(decision: Decision) -> float:
    assert decision.ended_at is not None  # noqa: S101 - for the type checker
    return (decision.ended_at - decision.enqueued_at).total_seconds() * 1000


@dataclass(frozen=True, slots=True)
class Flow:
    """Decisions a second, end to end; CPU milliseconds of each; how many cores other programs used meanwhile."""

    per_s: float
    cpu_ms: float
    others_cores: float


def throughput(rig: Rig, symbols: Sequence[str], plan: Plan, say: Callable[[str], None]) -> Flow:
    """The median of several flows of decisions, from the first that is opened to the end of the last."""
    flows = []
    for number in range(plan.flows):
        flows.append(_flow(rig, symbols, plan.flow))
        say(f"throughput, round {number + 1} of {plan.flows}: {flows[-1].per_s:.0f} decisions/s")
    return sorted(flows, key=lambda flow: flow.per_s)[len(flows) // 2]


def _flow(rig: Rig, symbols: Sequence[str], count: int) -> Flow:
    ids: list[DecisionId] = []
    busy, own = cpu.busy(), time.process_time()
    used = cpu.spent(rig.roles, lambda: ids.extend(rig.flow(symbols, count)))
    others = cpu.busy() - busy - sum(used.cpu.values()) - (time.process_time() - own)
    pipeline = sum(seconds for role, seconds in used.cpu.items() if role != EXCHANGE)
    took_s = _span_s(rig.ended(ids))
    return Flow(count / took_s, pipeline * 1000 / count, max(0.0, others / used.wall_s))


def _span_s(decisions: Sequence[Decision]) -> float:
    first = min(decision.enqueued_at for decision in decisions)
    last = max(decision.ended_at for decision in decisions if decision.ended_at)
    return (last - first).total_seconds()
