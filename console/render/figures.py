"""Figures as table cells."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rich.markup import escape

from pipeline.trace.records import number
from pipeline.watch.bottlenecks import ErrorGroup, Part
from pipeline.watch.chain_figures import ChainFigures, Ends, StrategyFigures
from pipeline.watch.latencies import Latencies
from pipeline.watch.performance import Performance

LATENCY = ("run p50", "p90", "p99", "max", "wait p50", "wait p99", "count")
STRATEGY = ("asked", "signal", "no signal", "failed", "p50", "p99", "max")
PERFORMANCE = (
    "group", "trades", "win rate", "net", "profit factor", "per trade", "best", "worst", "held",
    "fills", "notional", "fees", "slippage",
)  # fmt: skip
RIGHT = (*LATENCY, *STRATEGY, *PERFORMANCE[1:], "share")
PART = ("share", "p50", "p99", "max", "count")
NONE = "-"


def ends(told: Ends) -> str:
    """Outcomes and rates in one line."""
    outcomes = ", ".join(f"{name} {many}" for name, many in told.outcomes.items())
    rates = (
        f"success {percent(told.success_rate)}, errors {percent(told.error_rate)}, "
        f"executed of those with a signal {percent(told.execution_rate)}"
    )
    return f"{told.ended} ended ({outcomes}); {rates}"


def latencies(figures: ChainFigures) -> Iterator[tuple[str, ...]]:
    """The whole decision first, then each part."""
    yield ("decision", *_latency(figures.total), "", "", str(figures.total.count))
    for name, kinds in figures.parts.items():
        run, wait = kinds.get("run", Latencies()), kinds.get("wait", Latencies())
        waits = (ms(wait.percentile_ms(0.5)), ms(wait.percentile_ms(0.99)))
        yield (escape(name), *_latency(run), *waits, str(run.count))


def _latency(took: Latencies) -> tuple[str, str, str, str]:
    return (
        ms(took.percentile_ms(0.5)),
        ms(took.percentile_ms(0.9)),
        ms(took.percentile_ms(0.99)),
        ms(took.max_ms),
    )


def strategies(figures: ChainFigures) -> Iterator[tuple[str, ...]]:
    for name, each in figures.strategies.items():
        answers = tuple(_answers(each, kind) for kind in ("signal", "no_signal", "failed"))
        took = (ms(each.took.percentile_ms(0.5)), ms(each.took.percentile_ms(0.99)), ms(each.took.max_ms))
        yield (escape(name), str(each.asked), *answers, *took)


def _answers(figures: StrategyFigures, kind: str) -> str:
    many = figures.answers.get(kind, 0)
    return f"{many} ({percent(many / figures.asked)})" if figures.asked else str(many)


def performance(told: Performance) -> tuple[str, ...]:
    trades, fills = told.trades, told.fills
    return (
        escape(told.group),
        str(trades.trades),
        percent(trades.win_rate),
        money(trades.net),
        ratio(trades.profit_factor),
        money(trades.expectancy),
        money(trades.best),
        money(trades.worst),
        NONE if trades.mean_holding_s is None else f"{trades.mean_holding_s / 60:.1f} min",
        str(fills.fills),
        money(fills.notional),
        " ".join(f"{money(fee)} {escape(asset)}" for asset, fee in fills.fees.items()) or NONE,
        NONE if fills.slippage_bps is None else f"{fills.slippage_bps:.2f} bps",
    )


def account(told: Performance) -> str:
    """Drawdown and ratios of one account, in a sentence."""
    if told.equity is None or told.drawdown is None or told.ratios is None:
        return ""
    first, last = told.equity
    every = told.ratios.every.total_seconds()
    return (
        f"{escape(told.account)}: equity {money(first.equity)} to {money(last.equity)}, max drawdown "
        f"{percent(told.drawdown.fraction)}, Sharpe {ratio(told.ratios.sharpe)}, Sortino "
        f"{ratio(told.ratios.sortino)} (annualised, {told.ratios.returns} returns of {every:g} s)"
    )


def part(told: Part) -> tuple[str, ...]:
    took = told.took
    times = (ms(took.percentile_ms(0.5)), ms(took.percentile_ms(0.99)), ms(took.max_ms))
    return (told.mode.value, escape(told.name), percent(told.share), *times, str(took.count))


def error_group(told: ErrorGroup) -> str:
    """One cause in two lines: how often, where, since when, and what; then where to read on."""
    shown = ", ".join(told.symbols[:5]) + (
        f" and {len(told.symbols) - 5} more" if len(told.symbols) > 5 else ""
    )
    when = f"{told.first_at:%m-%d %H:%M:%S} to {told.last_at:%H:%M:%S}"
    return (
        f"[red]{told.many} x[/] {told.mode} {escape(told.kind)} on {escape(shown)}, {when}\n"
        f"    {escape(told.cause)}\n    throughline trace {told.example}"
    )


def percent(fraction: float | None) -> str:
    return NONE if fraction is None else f"{fraction * 100:.1f} %"


def ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def ms(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f} ms"


def money(value: Decimal | None) -> str:
    return NONE if value is None else str(number(round(value, 2)))
