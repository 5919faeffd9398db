"""How trading went, as formulas over closed trades and over the equity curve. Pure functions; no formula guesses.

Where a figure does not exist (no losing trade, too short a curve) it is None, never zero or infinity.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

YEAR = timedelta(days=365)
"""Crypto trades every day of the year, so nothing is scaled to 252 trading days."""

FEWEST_RETURNS = 10
"""Ratios of fewer returns than these say nothing."""

INTERVALS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One position from open to flat. `net` is its profit after fees, in the settlement asset."""

    net: Decimal
    fees: Decimal
    opened_at: datetime
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class Point:
    """The account's equity at one instant, in the settlement asset."""

    at: datetime
    equity: Decimal


def thinned(curve: Sequence[Point], most: int) -> list[Point]:
    """At most so many points of a curve, oldest first: the first, and the last of each of equal stretches of time."""
    if len(curve) <= most:
        return list(curve)
    start, length = curve[0].at, (curve[-1].at - curve[0].at) / (most - 1)
    groups = itertools.groupby(curve[1:], key=lambda point: min(most - 2, (point.at - start) // length))
    return [curve[0], *(list(points)[-1] for _, points in groups)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFigures:
    """What closed trades add up to. Money in the settlement asset, after fees; fractions between 0 and 1."""

    trades: int
    wins: int
    losses: int
    net: Decimal
    fees: Decimal
    gross_profit: Decimal
    gross_loss: Decimal
    best: Decimal | None
    worst: Decimal | None
    mean_holding_s: float | None

    @property
    def win_rate(self) -> float | None:
        """Winning trades over all closed trades; a trade that came out even is no win.

        Source: Pardo, The Evaluation and Optimization of Trading Strategies, "percentage winners".
        """
        return self.wins / self.trades if self.trades else None

    @property
    def profit_factor(self) -> float | None:
        """Gross profit over gross loss. None without a losing trade: it would be infinite.

        Source: Schwager, Managed Trading, "profit factor".
        """
        return float(self.gross_profit / self.gross_loss) if self.gross_loss else None

    @property
    def expectancy(self) -> Decimal | None:
        """Mean net profit of a trade, in the settlement asset.

        Source: Tharp, Trade Your Way to Financial Freedom, "expectancy", in money rather than in multiples of risk.
        """
        return self.net / self.trades if self.trades else None


def trade_figures(trades: Sequence[Trade]) -> TradeFigures:
    """What these trades add up to, in any order."""
    profits = [trade.net for trade in trades if trade.net > 0]
    losses = [-trade.net for trade in trades if trade.net < 0]
    held = [(trade.closed_at - trade.opened_at).total_seconds() for trade in trades]
    return TradeFigures(
        trades=len(trades),
        wins=len(profits),
        losses=len(losses),
        net=sum((trade.net for trade in trades), Decimal(0)),
        fees=sum((trade.fees for trade in trades), Decimal(0)),
        gross_profit=sum(profits, Decimal(0)),
        gross_loss=sum(losses, Decimal(0)),
        best=max((trade.net for trade in trades), default=None),
        worst=min((trade.net for trade in trades), default=None),
        mean_holding_s=sum(held) / len(held) if held else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall of a curve: from its peak so far to its trough. `fraction` 0.2 is 20 % of the peak."""

    amount: Decimal
    fraction: float | None
    peak_at: datetime | None
    trough_at: datetime | None


def max_drawdown(curve: Sequence[Point]) -> Drawdown:
    """The largest fall from a peak to a later trough, as a fraction of that peak.

    Shape:  points oldest first, any spacing.
    Unit:   `amount` in the settlement asset, that of the fall with the largest fraction.
    Source: Magdon-Ismail and Atiya, "Maximum Drawdown", Risk 17 (2004).
    """
    deepest = Drawdown(amount=Decimal(0), fraction=0.0 if curve else None, peak_at=None, trough_at=None)
    peak: Point | None = None
    for point in curve:
        if peak is None or point.equity >= peak.equity:
            peak = point
            continue
        fraction = float((peak.equity - point.equity) / peak.equity) if peak.equity > 0 else None
        if fraction is not None and fraction > (deepest.fraction or 0.0):
            fall = peak.equity - point.equity
            deepest = Drawdown(amount=fall, fraction=fraction, peak_at=peak.at, trough_at=point.at)
    return deepest


@dataclass(frozen=True, slots=True)
class Ratios:
    """Return against risk, annualised, and what they were computed from."""

    sharpe: float | None
    sortino: float | None
    every: timedelta
    returns: int


def ratios(curve: Sequence[Point]) -> Ratios:
    """Sharpe's and Sortino's ratios of an equity curve, oldest point first.

    The curve is sampled at the longest of a day, an hour and a minute that gives at least `FEWEST_RETURNS` returns.
    Which one stands in `every`: ratios of different intervals are not to be compared.
    """
    for every in INTERVALS:
        returns = simple_returns(sampled(curve, every))
        if len(returns) >= FEWEST_RETURNS:
            return Ratios(sharpe(returns, every), sortino(returns, every), every, len(returns))
    return Ratios(None, None, INTERVALS[-1], len(simple_returns(sampled(curve, INTERVALS[-1]))))


def sampled(curve: Sequence[Point], every: timedelta) -> list[Point]:
    """The last point of each interval, by UTC; an interval without points has none."""
    seconds = every.total_seconds()
    groups = itertools.groupby(curve, key=lambda point: point.at.timestamp() // seconds)
    return [list(points)[-1] for _, points in groups]


def simple_returns(curve: Sequence[Point]) -> list[float]:
    """From each point to the next, as a fraction of the first; a curve that touched zero ends there."""
    alive = list(itertools.takewhile(lambda point: point.equity > 0, curve))
    return [float(after.equity / before.equity) - 1 for before, after in itertools.pairwise(alive)]


def sharpe(returns: Sequence[float], every: timedelta) -> float | None:
    """Mean return over its standard deviation (n - 1), annualised by the root of the intervals in a year.

    The risk-free rate is taken as zero: money on a futures account earns none.
    Source: Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21 (1994); the annualisation assumes that
            returns are independent (Lo, "The Statistics of Sharpe Ratios", 2002).
    """
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((each - mean) ** 2 for each in returns) / (len(returns) - 1)
    return mean / math.sqrt(variance) * math.sqrt(YEAR / every) if variance > 0 else None


def sortino(returns: Sequence[float], every: timedelta) -> float | None:
    """Mean return over its downside deviation, annualised; the target return is zero.

    The downside deviation is the root of the mean over ALL returns of the squares of the negative ones.
    Source: Sortino and Price, "Performance Measurement in a Downside Risk Framework" (1994).
    """
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    downside = math.fsum(min(each, 0.0) ** 2 for each in returns) / len(returns)
    return mean / math.sqrt(downside) * math.sqrt(YEAR / every) if downside > 0 else None
