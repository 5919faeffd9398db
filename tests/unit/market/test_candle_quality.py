"""Quality: a bar is right or it is refused."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.timeframes import Timeframe
from pipeline.market.quality import Checked, Flaw, Problem, check, check_each
from pipeline.strategies.candles import Candles
from tests.unit.market.candle_worlds import MINUTE, NOW, Row, as_rows, newest_rows, row

MINUTE_MS = MINUTE.milliseconds


def checked(table: object) -> Checked:
    return check(table, MINUTE, NOW)


def flaws(table: object) -> list[Flaw]:
    return [problem.flaw for problem in checked(table).problems]


def test_clean_rows_come_through_unchanged_and_without_a_problem() -> None:
    """The check must not cost a single good bar."""
    clean = newest_rows(50)
    result = checked(clean)
    assert as_rows(result.candles) == clean
    assert result.problems == ()


def test_a_bar_still_forming_is_never_taken() -> None:
    """A forming bar's close is a rumour; taking it for closed makes signals that vanish."""
    forming = row(int(NOW.timestamp()) // 60 * 60_000)
    result = checked([*newest_rows(3), forming])
    assert as_rows(result.candles) == newest_rows(3)
    assert result.problems == ()


def test_a_bar_counts_from_the_very_millisecond_at_which_it_closes() -> None:
    """An edge taken wrongly costs a bar, or takes one that may still change."""
    bar = row(1_760_000_040_000)
    closes = NOW.fromtimestamp((1_760_000_040_000 + MINUTE_MS) / 1000, NOW.tzinfo)
    assert len(check([bar], MINUTE, closes).candles) == 1
    assert len(check([bar], MINUTE, closes - timedelta(milliseconds=1)).candles) == 0


@pytest.mark.parametrize(
    ("column", "value", "flaw"),
    [
        (1, None, Flaw.NOT_A_BAR),
        (4, "101.5", Flaw.NOT_A_BAR),
        (2, True, Flaw.NOT_A_BAR),
        (4, 10**400, Flaw.NOT_A_BAR),
        (4, math.nan, Flaw.NOT_FINITE),
        (2, math.inf, Flaw.NOT_FINITE),
        (0, math.nan, Flaw.NOT_FINITE),
        (3, 0.0, Flaw.NOT_POSITIVE),
        (3, -1.0, Flaw.NOT_POSITIVE),
        (5, -0.5, Flaw.NEGATIVE_VOLUME),
        (2, 1.0, Flaw.HIGH_BELOW_LOW),
        (4, 1e9, Flaw.OUTSIDE_RANGE),
        (1, 1e-9, Flaw.OUTSIDE_RANGE),
    ],
)
def test_each_flaw_is_named_and_its_bar_is_missing(column: int, value: object, flaw: Flaw) -> None:
    """A refused bar must say why: "missing" alone sends people searching for hours."""
    table: list[list[object]] = [list(bar) for bar in newest_rows(5)]
    table[2][column] = value
    result = checked(table)
    assert flaw in [problem.flaw for problem in result.problems]
    assert as_rows(result.candles) == newest_rows(2), "only the contiguous newest bars count"


def test_a_bar_between_two_grid_points_is_refused() -> None:
    """A shifted bar would sit beside the true one and make two of one."""
    shifted = newest_rows(1)[0]
    shifted[0] += 1_000
    assert flaws([shifted]) == [Flaw.OFF_GRID]


def test_a_bar_from_the_future_is_refused() -> None:
    """It would otherwise wait in the store and count as closed before it ever opened."""
    assert flaws([row(int(NOW.timestamp()) // 60 * 60_000 + 5 * MINUTE_MS)]) == [Flaw.FROM_THE_FUTURE]


def test_two_different_bars_of_one_time_refuse_each_other() -> None:
    """Nobody can tell which is true, and a guess would be an invented bar."""
    table = newest_rows(4)
    other = list(table[1])
    other[4] = (other[2] + other[3]) / 2
    result = checked([*table, other])
    assert as_rows(result.candles) == table[2:]
    assert Flaw.CONTRADICTED in flaws([*table, other])


def test_a_gap_leaves_only_the_newest_run() -> None:
    """Indicators over a gap would join prices that never followed each other."""
    table = newest_rows(10)
    del table[6]
    result = checked(table)
    assert as_rows(result.candles) == table[6:]
    gap = result.problems[-1]
    assert (gap.flaw, gap.open_time) == (Flaw.GAP, newest_rows(10)[6][0])
    assert as_rows(result.sound) == table


@pytest.mark.parametrize("rubbish", [None, {}, "rows", 7, [], [None], [[]], [[1, 2, 3]], ["abcdef"]])
def test_an_answer_that_is_no_table_gives_no_bars(rubbish: object) -> None:
    """Exchanges answer 200 with empty or foreign bodies; that must end as missing bars, not as a crash."""
    assert len(checked(rubbish).candles) == 0


def test_a_crash_bar_with_a_huge_wick_is_a_good_bar() -> None:
    """On 10 October 2025 lows lay 80 % below the close before, and they were true."""
    table = newest_rows(3)
    table[1][3] = table[1][3] * 0.2
    assert as_rows(checked(table).candles) == table


SPOILED: st.SearchStrategy[object] = st.sampled_from(
    [math.nan, math.inf, -math.inf, -1.0, 0.0, None, "7", []]
)
FATES = st.sampled_from(
    ["kept", "kept", "kept", "repeated", "spoiled", "spoiled beside", "contradicted", "dropped"]
)


def told(bar: Row, fate: str, column: int, value: object) -> list[list[object]]:
    """What arrives of one true bar."""
    spoiled: list[object] = list(bar)
    spoiled[column] = value
    other: list[object] = [*bar[:5], bar[5] + 1.0]
    arrivals: dict[str, list[list[object]]] = {
        "kept": [list(bar)],
        "repeated": [list(bar), list(bar)],
        "spoiled": [spoiled],
        "spoiled beside": [spoiled, list(bar)],
        "contradicted": [list(bar), other],
        "dropped": [],
    }
    return arrivals[fate]


@settings(max_examples=300)
@given(
    fates=st.lists(st.tuples(FATES, st.integers(1, 4), SPOILED), min_size=1, max_size=40),
    seed=st.integers(0, 2**32),
)
def test_any_stream_gives_the_clean_bars_or_leaves_them_out(
    fates: list[tuple[str, int, object]], seed: int
) -> None:
    """Shuffled, repeated, cut and corrupted streams must equal the clean one, or miss bars: never differ."""
    clean = newest_rows(len(fates))
    stream = [
        arrived
        for bar, (fate, column, value) in zip(clean, fates, strict=True)
        for arrived in told(bar, fate, column, value)
    ]
    random.Random(seed).shuffle(stream)
    survivors = [
        bar
        for bar, (fate, _, _) in zip(clean, fates, strict=True)
        if fate in {"kept", "repeated", "spoiled beside"}
    ]
    result = checked(stream)
    assert as_rows(result.sound) == survivors
    assert as_rows(result.candles) == contiguous_end(survivors)


def contiguous_end(bars: list[Row]) -> list[Row]:
    run: list[Row] = []
    for bar in reversed(bars):
        if run and run[-1][0] - bar[0] != MINUTE_MS:
            break
        run.append(bar)
    return run[::-1]


@settings(max_examples=200)
@given(
    told_bars=st.lists(
        st.tuples(
            st.sampled_from(["1m", "3m", "15m"]), st.integers(-3, 1), st.integers(0, 5), SPOILED | st.none()
        ),
        min_size=1,
        max_size=12,
    )
)
def test_many_streams_at_once_are_judged_as_each_is_alone(
    told_bars: list[tuple[str, int, int, object]],
) -> None:
    """The socket's bars take a short way; it must refuse whatever the long one refuses."""
    now_ms = int(NOW.timestamp() * 1000)
    bars: list[list[object]] = []
    frames = [Timeframe.parse(name) for name, *_ in told_bars]
    for frame, (_, back, column, value) in zip(frames, told_bars, strict=True):
        bar: list[object] = [*row((now_ms // frame.milliseconds + back) * frame.milliseconds, frame)]
        bars.append([*bar[:column], value, *bar[column + 1 :]] if value is not None else bar)
    verdicts = check_each(bars, frames, [now_ms] * len(bars))
    for bar, frame, verdict in zip(bars, frames, verdicts, strict=True):
        alone = check([bar], frame, NOW)
        if isinstance(verdict, Candles):
            assert as_rows(verdict) == as_rows(alone.sound)
        else:
            assert not len(alone.sound)
            refused = [each.flaw for each in alone.problems if each.flaw is not Flaw.JUMP]
            assert refused == ([verdict.flaw] if isinstance(verdict, Problem) else [])
