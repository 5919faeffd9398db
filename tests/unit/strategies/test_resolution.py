"""The conflict rule."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.outcomes import EndReason
from pipeline.domain.signals import NearestMiss, Side, Signal, StrategyVerdict, VerdictKind
from pipeline.strategies.resolution import Rule, resolve

WITHIN = Decimal("0.1")


def wants(name: str, side: Side, score: str) -> StrategyVerdict:
    signal = Signal(
        side=side,
        score=Decimal(score),
        entry=Decimal(100),
        stop_loss=Decimal(100 - side.sign),
        take_profit=Decimal(100 + side.sign),
        reason="",
    )
    return StrategyVerdict(strategy=name, kind=VerdictKind.SIGNAL, signal=signal)


def rests(name: str) -> StrategyVerdict:
    return StrategyVerdict(
        strategy=name, kind=VerdictKind.NO_SIGNAL, nearest_miss=NearestMiss("rsi below oversold", 44.5, 30)
    )


def test_the_highest_score_wins_and_the_losers_stay_on_record() -> None:
    """The trace must show what was not done as well."""
    resolution = resolve([wants("a", Side.BUY, "0.5"), rests("b"), wants("c", Side.BUY, "0.7")], WITHIN)
    assert resolution.chosen is not None
    assert resolution.chosen.strategy == "c"
    assert [(verdict.strategy, verdict.chosen) for verdict in resolution.verdicts] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]


@pytest.mark.parametrize(
    ("buy", "sell", "chosen"), [("0.7", "0.6", None), ("0.7", "0.59", Side.BUY), ("0.5", "0.9", Side.SELL)]
)
def test_opposite_signals_near_in_score_cancel(buy: str, sell: str, chosen: Side | None) -> None:
    """Two strategies that contradict each other evenly know nothing."""
    resolution = resolve([wants("a", Side.BUY, buy), wants("b", Side.SELL, sell)], WITHIN)
    signal = resolution.chosen.signal if resolution.chosen else None
    assert (signal.side if signal else None) is chosen
    assert resolution.reason is (EndReason.SIGNALS_CANCEL if chosen is None else None)


def test_equal_scores_on_one_side_go_to_the_first_configured() -> None:
    """The answer must not depend on chance."""
    resolution = resolve([wants("b", Side.SELL, "0.5"), wants("a", Side.SELL, "0.5")], WITHIN)
    assert resolution.chosen is not None
    assert resolution.chosen.strategy == "b"


def test_no_signal_says_what_each_strategy_missed() -> None:
    """ "No signal" alone is the silence that this project was built against."""
    failed = StrategyVerdict(strategy="c", kind=VerdictKind.FAILED, error="Traceback\nZeroDivisionError: oh")
    resolution = resolve([rests("a"), failed], WITHIN)
    assert resolution.reason is EndReason.NO_SIGNAL
    assert "rsi below oversold 30, has 44.5" in resolution.detail
    assert "ZeroDivisionError: oh" in resolution.detail


def test_without_a_strategy_the_reason_says_so() -> None:
    """An empty list in the configuration must not look like a quiet market."""
    assert "no strategy" in resolve([], WITHIN).detail


@given(st.lists(st.tuples(st.sampled_from(Side), st.decimals(0, 1, places=2)), max_size=6))
def test_at_most_one_verdict_is_chosen_and_nobody_scored_higher(wanted: list[tuple[Side, Decimal]]) -> None:
    """Whatever the strategies say, one decision places one order."""
    verdicts = [wants(str(index), side, str(score)) for index, (side, score) in enumerate(wanted)]
    resolution = resolve(verdicts, WITHIN)
    assert sum(verdict.chosen for verdict in resolution.verdicts) == (resolution.chosen is not None)
    assert [verdict.strategy for verdict in resolution.verdicts] == [verdict.strategy for verdict in verdicts]
    if resolution.chosen is not None and resolution.chosen.signal is not None:
        assert resolution.chosen.signal.score == max(score for _, score in wanted)
    else:
        assert resolution.reason is not None


def test_under_priority_the_first_configured_signal_wins() -> None:
    """Whoever trusts one strategy more than its score says so by its place."""
    verdicts = [rests("a"), wants("b", Side.BUY, "0.4"), wants("c", Side.SELL, "0.9")]
    chosen = resolve(verdicts, WITHIN, Rule.PRIORITY).chosen
    assert chosen is not None
    assert chosen.strategy == "b"


def test_under_unanimous_opposite_signals_cancel_however_far_apart() -> None:
    """The most careful rule: nobody trades against a colleague."""
    opposite = [wants("a", Side.BUY, "0.2"), wants("b", Side.SELL, "0.9")]
    agreed = [wants("a", Side.BUY, "0.2"), wants("b", Side.BUY, "0.9")]
    assert resolve(opposite, WITHIN, Rule.UNANIMOUS).reason is EndReason.SIGNALS_CANCEL
    chosen = resolve(agreed, WITHIN, Rule.UNANIMOUS).chosen
    assert chosen is not None
    assert chosen.strategy == "b"
