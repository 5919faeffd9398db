"""The examination of one strategy: every honesty check over every history, and what it found on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.strategies import honesty
from pipeline.strategies.history import History
from pipeline.strategies.honesty import Difference, Tally
from pipeline.strategies.interface import AnyStrategy

LOOK_AHEAD = "no look-ahead: later bars change nothing"
REPEATS = "repeats itself: a second run says the same, byte for byte"
RAISES = "never raises"


@dataclass(frozen=True, slots=True)
class Report:
    """For each check the first bar that differs, or None. `signals` by regime; `closes` is how many were
    judged.
    """

    strategy: str
    histories: int
    closes: int
    findings: Mapping[str, Difference | None]
    signals: Mapping[str, int]

    @property
    def ok(self) -> bool:
        return not any(self.findings.values())

    def as_record(self) -> dict[str, object]:
        return {
            "strategy": self.strategy,
            "ok": self.ok,
            "histories": self.histories,
            "closes": self.closes,
            "findings": {name: str(found) if found else None for name, found in self.findings.items()},
            "signals": dict(self.signals),
        }


def examine(
    make: Callable[[], AnyStrategy], histories: Sequence[History], bars: int, every: int = 1
) -> Report:
    """Run all checks. `make` gives a fresh copy of the strategy; `bars` is how many a decision sees.

    The start-up is tried from the number of bars that the strategy itself asks for up to twice a decision's,
    over the timeframes together and over the shortest alone, where the history is long enough for all of it.
    """
    strategy = make()
    tallies = [honesty.tally(strategy, each, bars, every) for each in histories]
    total = sum(tallies, Tally())
    findings = {RAISES: total.failed} if total.failed else _findings(make, histories, bars, every)
    signals = {regime.value: count for regime, count in sorted(total.signals.items())}
    return Report(strategy.name, len(histories), total.closes, findings, signals)


def _findings(
    make: Callable[[], AnyStrategy], histories: Sequence[History], bars: int, every: int
) -> dict[str, Difference | None]:
    strategy = make()
    counts = sorted({strategy.warm_up, bars, bars * 3 // 2, bars * 2})
    start_up = f"stable against the start-up: {', '.join(map(str, counts))} bars"
    alone = [History(each.name, each.series[:1]) for each in histories]
    return {
        RAISES: None,
        LOOK_AHEAD: _first(honesty.looks_ahead(strategy, each, every) for each in histories),
        start_up: _first(
            honesty.hangs_on_start_up(strategy, each, counts, every) for each in [*histories, *alone]
        ),
        REPEATS: _first(honesty.differs_when_repeated(make, each, bars, every) for each in histories),
    }


def _first(found: Iterable[Difference | None]) -> Difference | None:
    return next((each for each in found if each is not None), None)
