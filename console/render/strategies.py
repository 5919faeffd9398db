"""Strategies for people: one as a card, an examination as lines."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from rich.markup import escape

from pipeline.strategies.examination import Report
from pipeline.strategies.interface import AnyStrategy


def card(strategy: AnyStrategy, told: Mapping[str, object]) -> Iterator[str]:
    """Its own words, then each parameter: value, whether it was set, bounds."""
    yield inspect.getdoc(strategy) or "(it has no docstring)"
    yield f"\nNeeds {strategy.warm_up} closed bars of each timeframe.\n"
    fields = strategy.params_type.model_json_schema().get("properties", {})
    for name, value in strategy.params.model_dump().items():
        whence = "set" if name in told else "default"
        yield f"  {name} = {value} ({', '.join([whence, *_bounds(fields.get(name, {}))])})"


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


def _bounds(schema: Mapping[str, object]) -> list[str]:
    return [f"{words} {schema[key]}" for key, words in _BOUNDS.items() if key in schema]


def counted(report: Report) -> Iterator[str]:
    """One line for each check, with the first bar that differs; then the signals by regime."""
    for check, finding in report.findings.items():
        yield (
            f"  [green]ok[/]    {check}"
            if finding is None
            else f"  [red]FAILS[/] {check}: {escape(str(finding))}"
        )
    signals = sum(report.signals.values())
    share = signals / report.closes if report.closes else 0.0
    regimes = ", ".join(f"{regime} {count}" for regime, count in report.signals.items()) or "none"
    yield f"  signals at {share:.1%} of the closes: {regimes}"
