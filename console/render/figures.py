"""Figures as table cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.markup import escape

from pipeline.domain.entries import Balance, Heading
from pipeline.trace.records import number
from pipeline.watch.bottlenecks import ErrorGroup, Part
from pipeline.watch.chain_figures import ChainFigures, Ends, StrategyFigures
from pipeline.watch.figures import Point
from pipeline.watch.latencies import Latencies
from pipeline.watch.performance import AccountFigures, Performance

LATENCY = ("run p50", "p90", "p99", "max", "wait p50", "wait p99", "count")
STRATEGY = ("asked", "signal", "no signal", "failed", "p50", "p99", "max")
PERFORMANCE = (
    "group", "trades", "win rate", "net", "profit factor", "per trade", "best", "worst", "held",
    "fills", "notional", "fees", "funding", "slippage", "executed in",
)  # fmt: skip
SPARE = ("executed in", "held", "notional", "funding", "best", "worst", "slippage", "per trade", "fills")
"""Of the performance, what a narrow terminal does without, the first one first."""
RIGHT = (*LATENCY, *STRATEGY, *PERFORMANCE[1:], "share")
PART = ("share", "p50", "p99", "max", "count")
NONE = "-"
BARS = "▁▂▃▄▅▆▇█"
SIGNS = {True: "+", False: "-"}
STATEMENT = {
    Heading.CAPITAL: "paid in",
    Heading.PROFIT: "profit",
    Heading.FEES: "fees",
    Heading.FUNDING: "funding",
    Heading.ACCEPTED: "accepted",
}


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
        _funding(told),
        NONE if fills.slippage_bps is None else f"{fills.slippage_bps:.2f} bps",
        ms(fills.mean_execution_ms),
    )


def _funding(told: Performance) -> str:
    paid = {asset: -amounts.get(Heading.FUNDING, Decimal(0)) for asset, amounts in told.money.items()}
    return " ".join(f"{money(amount)} {escape(asset)}" for asset, amount in paid.items() if amount) or NONE


def account(told: AccountFigures, name: str) -> Iterator[str]:
    """Equity, drawdown and ratios of one account in a sentence, and its curve in a line."""
    first, last, every = told.curve[0], told.curve[-1], told.ratios.every.total_seconds()
    yield (
        f"{escape(name)}: equity {money(first.equity)} to {money(last.equity)} (of it unrealised "
        f"{money(told.unrealised)}, at the mark price), max drawdown {percent(told.drawdown.fraction)}, "
        f"Sharpe {ratio(told.ratios.sharpe)}, Sortino {ratio(told.ratios.sortino)} (annualised, "
        f"{told.ratios.returns} returns of {every:g} s)"
    )
    if len(told.curve) > 1:
        lowest, highest = min(each.equity for each in told.shown), max(each.equity for each in told.shown)
        yield f"  {curve(told.shown)}  {money(lowest)} to {money(highest)}"


def curve(points: Sequence[Point]) -> str:
    """One sign for each point, the higher the more; flat ones in the middle."""
    lowest, highest = min(each.equity for each in points), max(each.equity for each in points)
    height = highest - lowest
    steps = [int((each.equity - lowest) / height * (len(BARS) - 1)) if height else 3 for each in points]
    return "".join(BARS[step] for step in steps)


def books(balance: Balance) -> str:
    """Where the money of one asset came from and went, since the books were opened."""
    parts = [
        f"{SIGNS[amount > 0]} {words} {money(abs(amount))}"
        for heading, words in STATEMENT.items()
        if (amount := -balance.of(heading))
    ]
    said = " ".join(parts).removeprefix("+ ") or "0"
    return f"  books: wallet {money(balance.wallet)} {escape(balance.asset)} = {said}"


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
