"""The formulas of the reports, against numbers worked out by hand."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.watch.figures import (
    Point,
    Trade,
    max_drawdown,
    ratios,
    sampled,
    sharpe,
    simple_returns,
    sortino,
    thinned,
    trade_figures,
)
from pipeline.watch.latencies import Latencies

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def trade(net: str, fees: str = "0.5") -> Trade:
    return Trade(
        net=Decimal(net), fees=Decimal(fees), opened_at=START, closed_at=START + timedelta(minutes=10)
    )


def curve(*equities: float, every: timedelta = DAY) -> list[Point]:
    return [Point(START + number * every, Decimal(str(each))) for number, each in enumerate(equities)]


def test_trades_add_up_after_fees() -> None:
    """Three wins of 60 in all against two losses of 40: a factor of 1.5."""
    told = trade_figures([trade("10"), trade("20"), trade("30"), trade("-15"), trade("-25"), trade("0")])

    assert (told.trades, told.wins, told.losses) == (6, 3, 2)
    assert told.win_rate == 0.5
    assert told.profit_factor == 1.5
    assert told.net == Decimal(20)
    assert told.fees == Decimal("3.0")
    assert told.expectancy == Decimal(20) / 6
    assert (told.best, told.worst) == (Decimal(30), Decimal(-25))
    assert told.mean_holding_s == 600


def test_what_does_not_exist_is_none() -> None:
    """An infinite profit factor after one winning trade has made people rich on paper."""
    empty, lucky = trade_figures([]), trade_figures([trade("5")])

    assert (empty.win_rate, empty.profit_factor, empty.expectancy, empty.best) == (None, None, None, None)
    assert (lucky.win_rate, lucky.profit_factor) == (1.0, None)


def test_drawdown_is_the_deepest_fall_from_a_peak() -> None:
    """From 120 to 90 is a quarter; the later fall from 200 to 160 is more money and less deep."""
    told = max_drawdown(curve(100, 120, 110, 90, 130, 200, 160))

    assert told.fraction == pytest.approx(0.25)
    assert told.amount == Decimal(30)
    assert (told.peak_at, told.trough_at) == (START + DAY, START + 3 * DAY)


def test_a_curve_that_only_rises_has_no_drawdown() -> None:
    """Zero, which is not the same as unknown."""
    assert max_drawdown(curve(1, 2, 3)).fraction == 0.0
    assert max_drawdown([]).fraction is None


def test_sharpe_and_sortino_by_hand() -> None:
    """Returns of 2 %, -1 %, 3 %, 0 %: mean 1 %, deviation (n - 1) 1.826 %, downside deviation 0.5 %."""
    returns = [0.02, -0.01, 0.03, 0.0]

    assert sharpe(returns, DAY) == pytest.approx(0.01 / math.sqrt(0.001 / 3) * math.sqrt(365))
    assert sortino(returns, DAY) == pytest.approx(0.01 / 0.005 * math.sqrt(365))


def test_a_curve_without_risk_has_no_ratio() -> None:
    """Dividing by nothing is no performance."""
    assert sharpe([0.01, 0.01, 0.01], DAY) is None
    assert sortino([0.01, 0.02], DAY) is None
    assert ratios(curve(100, 101)).sharpe is None


def test_a_short_curve_is_sampled_more_finely_and_says_so() -> None:
    """A ratio over three hours is not one over three months."""
    rising = [100 + number * 0.1 + (number % 3) for number in range(180)]

    told = ratios(curve(*rising, every=timedelta(minutes=1)))

    assert told.every == timedelta(minutes=1)
    assert told.returns == 179
    assert told.sharpe is not None


def test_sampling_keeps_the_last_point_of_each_day() -> None:
    """A day's return is from its close to the next close."""
    points = curve(*range(1, 49), every=timedelta(hours=1))

    assert [point.equity for point in sampled(points, DAY)] == [Decimal(24), Decimal(48)]


def test_a_ruined_account_has_no_returns_after_its_ruin() -> None:
    """Nothing divided by nothing."""
    assert simple_returns(curve(100, 50, 0, 100)) == [-0.5]


@given(st.lists(st.integers(0, 300_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_a_value_that_was_seen_and_that_the_fraction_does_not_exceed(
    tenths: list[int], fraction: float
) -> None:
    """The nearest rank, whatever the distribution."""
    counted = Latencies()
    for each in tenths:
        counted.add(each)

    found = counted.percentile_ms(fraction)

    ordered = sorted(tenths)
    assert found == ordered[math.ceil(fraction * len(ordered) - 1e-9) - 1] / 10


def test_histogram_counts_never_fall_and_end_at_all() -> None:
    """Prometheus refuses a histogram that does."""
    counted = Latencies()
    for each in random.Random(7).choices(range(200_000), k=500):
        counted.add(each)

    counts = [many for _, many in counted.cumulative()]

    assert counts == sorted(counts)
    assert counts[-1] == counted.count == 500


def test_a_thinned_curve_keeps_its_ends_and_the_last_point_of_each_stretch() -> None:
    """A month of points every ten seconds fits into a line, and still ends where it ends."""
    whole = curve(*range(1000), every=timedelta(seconds=10))
    shown = thinned(whole, 10)
    assert (shown[0], shown[-1]) == (whole[0], whole[-1])
    assert len(shown) == 10
    assert shown == sorted(shown, key=lambda point: point.at)
    assert thinned(whole[:3], 10) == whole[:3]
    assert thinned([*whole[:2], *whole[-2:]], 3) == [whole[0], whole[1], whole[-1]]
