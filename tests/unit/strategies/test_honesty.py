"""The honesty checks find what they are for, name the first bar, and pass the built-in strategies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from pipeline.market.recordings import histories
from pipeline.strategies import honesty
from pipeline.strategies.adaptive_ob import AdaptiveOb, AdaptiveObParams
from pipeline.strategies.examination import LOOK_AHEAD, RAISES, REPEATS, examine
from pipeline.strategies.history import History, instant, walk
from pipeline.strategies.indicators import ema, rsi
from pipeline.strategies.interface import AnyStrategy, Candles, Floats, NearestMiss, Regime, Signal, View
from pipeline.strategies.judge import judge
from pipeline.strategies.registry import BUILT_IN, build
from tests.unit.strategies.markets import RECORDED

NAMES = sorted(BUILT_IN)
BARS = 200
needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded candles in {RECORDED.name}")


@pytest.fixture(scope="module")
def market() -> History:
    return walk(minutes=3600)


class LooksAhead(AdaptiveOb):
    """Reads the next bar's RSI as if it were this one's."""

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {**super().indicators(candles), "rsi": np.append(rsi(candles.close)[1:], 50.0)}


class Centred(AdaptiveOb):
    """Normalises over the whole column: the classic mistake."""

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {**super().indicators(candles), "rsi": 50 + 10 * (candles.close - candles.close.mean())}


class NeverForgets(AdaptiveOb):
    """Its trend mean takes thousands of bars to warm up."""

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        slow = ema(candles.close, 150)
        return {**super().indicators(candles), "mean": slow, "trend_mean": slow}


class Moody(AdaptiveOb):
    """Another answer each time."""

    def signal(self, view: View) -> Signal | NearestMiss:
        return NearestMiss("mood", float(next(MOODS)), 0.0)


MOODS = itertools.count()


class Raises(AdaptiveOb):
    """Cannot be asked."""

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        raise ArithmeticError("no idea")


@pytest.mark.parametrize("dishonest", [LooksAhead, Centred])
def test_a_look_ahead_is_found_and_its_first_bar_named(dishonest: type[AdaptiveOb], market: History) -> None:
    """A check that cannot fail proves nothing; one without a place helps nobody."""
    found = honesty.looks_ahead(dishonest(AdaptiveObParams()), market)
    assert found is not None
    assert "'rsi'" in found.what
    assert found.closed_at == instant(next(market.closes(BARS)))


def test_an_answer_that_hangs_on_the_start_up_is_found(market: History) -> None:
    """Live it would say one thing after a restart and another in the back test."""
    found = honesty.hangs_on_start_up(NeverForgets(AdaptiveObParams()), market, (200, 300, 400))
    assert found is not None
    assert "200 bars give" in found.what


def test_an_answer_that_changes_from_run_to_run_is_found(market: History) -> None:
    """A decision replayed later must be the same decision."""
    found = honesty.differs_when_repeated(lambda: Moody(AdaptiveObParams()), market, BARS)
    assert found is not None


def test_a_strategy_that_raises_is_reported_with_its_bar(market: History) -> None:
    """The command reports it; it does not die of it."""
    report = examine(lambda: Raises(AdaptiveObParams()), [market], BARS, every=200)
    assert not report.ok
    assert "no idea" in str(report.findings[RAISES])


def test_a_report_names_each_check_with_what_it_found(market: History) -> None:
    """It is what people and scripts read."""
    report = examine(lambda: LooksAhead(AdaptiveObParams()), [market], BARS, every=5)
    record = report.as_record()
    findings = record["findings"]
    assert isinstance(findings, dict)
    assert record["ok"] is False
    assert "walk 7, bar closed" in findings[LOOK_AHEAD]
    assert findings[REPEATS] is None


@pytest.mark.parametrize("name", NAMES)
def test_built_in_strategies_are_honest_over_seeded_prices(name: str, market: History) -> None:
    """They are what people copy from."""
    report = examine(lambda: build([name], {})[0], [market], BARS, every=7)
    assert report.ok, report.findings


@needs_recordings
@pytest.mark.parametrize("name", NAMES)
def test_built_in_strategies_are_honest_over_every_recording(name: str) -> None:
    """All of them, the crash included; and there is something to do in more than one regime."""
    report = examine(lambda: build([name], {})[0], histories(RECORDED), BARS, every=5)
    assert report.ok, report.findings
    assert len(set(report.signals) - {Regime.UNKNOWN.value}) > 1


@needs_recordings
def test_a_second_run_over_the_recordings_says_the_same_byte_for_byte() -> None:
    """Every verdict, near misses and scores to the last digit."""

    def run(strategies: tuple[AnyStrategy, ...]) -> bytes:
        windows = (window for each in histories(RECORDED)[:6] for window in each.windows(every=3))
        return b"\n".join(
            honesty.said(verdict) for window in windows for verdict in judge(strategies, window)
        )

    first, second = run(build(NAMES, {})), run(build(NAMES, {}))
    assert first == second
    assert first.count(b'"kind": "signal"') > 10
