"""How the chain did in a span: how decisions ended, how long each part took, what failed. By mode, never mixed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.domain.decisions import Mode
from pipeline.domain.outcomes import Outcome
from pipeline.ledger.statistics import By, Duration, EndCount, OrderCount, Span, SqlStatistics, VerdictCount
from pipeline.watch.latencies import Latencies

ERRORS = frozenset({Outcome.FAILED, Outcome.REJECTED, Outcome.EXPIRED})
"""What should not have happened. To be blocked, skipped or without a signal is how a decision may well end."""

OPEN = "open"


@dataclass(frozen=True, slots=True)
class Ends:
    """How decisions ended. Rates are fractions of those that have ended."""

    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]

    @classmethod
    def of(cls, counts: Iterable[EndCount]) -> Ends:
        outcomes: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for each in counts:
            outcomes[each.outcome.value if each.outcome else OPEN] += each.many
            if each.reason is not None:
                reasons[str(each.reason)] += each.many
        return cls(dict(outcomes.most_common()), dict(reasons.most_common()))

    @property
    def ended(self) -> int:
        return sum(self.outcomes.values()) - self.outcomes.get(OPEN, 0)

    @property
    def error_rate(self) -> float | None:
        """Failed, rejected and expired decisions over all that have ended."""
        errors = sum(self.outcomes.get(each.value, 0) for each in ERRORS)
        return errors / self.ended if self.ended else None

    @property
    def success_rate(self) -> float | None:
        """The others: they ended as a decision may."""
        return None if self.error_rate is None else 1 - self.error_rate

    @property
    def execution_rate(self) -> float | None:
        """Executed decisions over those that had a signal and were not dry runs (executed or in vain)."""
        executed = self.outcomes.get(Outcome.EXECUTED.value, 0)
        wanted = executed + sum(self.outcomes.get(each.value, 0) for each in (*ERRORS, Outcome.BLOCKED))
        return executed / wanted if wanted else None

    def as_record(self) -> dict[str, object]:
        return {
            "ended": self.ended,
            "open": self.outcomes.get(OPEN, 0),
            "outcomes": dict(self.outcomes),
            "reasons": dict(self.reasons),
            "success_rate": self.success_rate,
            "error_rate": self.error_rate,
            "execution_rate": self.execution_rate,
        }


@dataclass(slots=True)
class StrategyFigures:
    """One strategy: its answers and how long they took."""

    answers: dict[str, int] = field(default_factory=dict)
    took: Latencies = field(default_factory=Latencies)

    @property
    def asked(self) -> int:
        return sum(self.answers.values())

    def as_record(self) -> dict[str, object]:
        asked = self.asked
        rates = {kind: many / asked for kind, many in self.answers.items()} if asked else {}
        return {"asked": asked, "answers": self.answers, "rates": rates, "run": self.took.as_record()}


@dataclass(slots=True, kw_only=True)
class ChainFigures:
    """One mode's chain. `parts` are stages, symbols, components or hosts, each with its running and waiting time."""

    mode: Mode
    ends: Ends
    by_symbol: dict[str, Ends]
    total: Latencies
    by_symbol_total: dict[str, Latencies]
    parts: dict[str, dict[str, Latencies]]
    strategies: dict[str, StrategyFigures]
    orders: dict[str, int]

    def as_record(self) -> dict[str, object]:
        return {
            "mode": self.mode.value,
            "decisions": self.ends.as_record(),
            "total": self.total.as_record(),
            "parts": {
                name: {kind: took.as_record() for kind, took in kinds.items()}
                for name, kinds in self.parts.items()
            },
            "strategies": {name: each.as_record() for name, each in self.strategies.items()},
            "orders": self.orders,
            "symbols": {
                name: {**ends.as_record(), "total": self.by_symbol_total.get(name, Latencies()).as_record()}
                for name, ends in self.by_symbol.items()
            },
        }


def chain_figures(statistics: SqlStatistics, span: Span, by: By = By.STAGE) -> list[ChainFigures]:
    """The chain's figures, one for each mode that has decisions in the span. Raises: LedgerUnavailable."""
    ends = statistics.ends(span)
    durations = statistics.decision_durations(span)
    parts = statistics.stage_durations(span, by)
    verdicts, took = statistics.verdicts(span), statistics.strategy_durations(span)
    orders = statistics.orders(span)
    return [
        ChainFigures(
            mode=mode,
            ends=Ends.of(each for each in ends if each.mode is mode),
            by_symbol=_ends_by_symbol(each for each in ends if each.mode is mode),
            total=_merged(each for each in durations if each.mode is mode),
            by_symbol_total=_by_key(each for each in durations if each.mode is mode),
            parts=_parts(each for each in parts if each.mode is mode),
            strategies=_strategies(
                [each for each in verdicts if each.mode is mode], [each for each in took if each.mode is mode]
            ),
            orders=_orders(each for each in orders if each.mode is mode),
        )
        for mode in Mode
        if any(each.mode is mode for each in ends)
    ]


def _ends_by_symbol(counts: Iterable[EndCount]) -> dict[str, Ends]:
    by_symbol: dict[str, list[EndCount]] = defaultdict(list)
    for each in counts:
        by_symbol[each.symbol].append(each)
    return {symbol: Ends.of(of) for symbol, of in sorted(by_symbol.items())}


def _merged(durations: Iterable[Duration]) -> Latencies:
    return Latencies().merge(_by_key(durations).values())


def _by_key(durations: Iterable[Duration]) -> dict[str, Latencies]:
    found: dict[str, Latencies] = defaultdict(Latencies)
    for each in durations:
        found[each.key].add(each.tenths, each.many)
    return dict(found)


def _parts(durations: Iterable[Duration]) -> dict[str, dict[str, Latencies]]:
    found: dict[str, dict[str, Latencies]] = defaultdict(lambda: defaultdict(Latencies))
    for each in durations:
        found[each.key][each.kind].add(each.tenths, each.many)
    return {key: dict(kinds) for key, kinds in found.items()}


def _strategies(verdicts: Sequence[VerdictCount], took: Sequence[Duration]) -> dict[str, StrategyFigures]:
    found: dict[str, StrategyFigures] = defaultdict(StrategyFigures)
    for each in verdicts:
        found[each.strategy].answers[each.kind.value] = each.many
    for duration in took:
        found[duration.key].took.add(duration.tenths, duration.many)
    return dict(sorted(found.items()))


def _orders(counts: Iterable[OrderCount]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for each in counts:
        found[str(each.state)] += each.many
    return dict(found.most_common())
