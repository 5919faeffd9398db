"""Durations as counts by tenth of a millisecond: percentiles and histograms of a million rows in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

PER_MS = 10

BUCKETS_MS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0)
"""Upper bounds of the histograms that Prometheus gets."""


@dataclass(slots=True)
class Latencies:
    """How often a duration was seen, in tenths of a millisecond."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, tenths: int, many: int = 1) -> None:
        self.counts[tenths] = self.counts.get(tenths, 0) + many

    def merge(self, others: Iterable[Latencies]) -> Latencies:
        """This one with the others counted in."""
        for other in others:
            for tenths, many in other.counts.items():
                self.add(tenths, many)
        return self

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    @property
    def sum_ms(self) -> float:
        return sum(tenths * many for tenths, many in self.counts.items()) / PER_MS

    @property
    def mean_ms(self) -> float | None:
        return self.sum_ms / self.count if self.counts else None

    @property
    def max_ms(self) -> float | None:
        return max(self.counts) / PER_MS if self.counts else None

    def percentile_ms(self, fraction: float) -> float | None:
        """The smallest duration that at least this fraction of all did not exceed; None without any.

        Source: the nearest-rank method of NIST's Engineering Statistics Handbook, 2.6.2.
        """
        wanted, seen = fraction * self.count - 1e-9, 0
        for tenths in sorted(self.counts):
            seen += self.counts[tenths]
            if seen >= wanted:
                return tenths / PER_MS
        return None

    def cumulative(self, bounds_ms: Sequence[float] = BUCKETS_MS) -> list[tuple[float, int]]:
        """For each upper bound how many were at most so long, as Prometheus wants them."""
        return [
            (bound, sum(many for tenths, many in self.counts.items() if tenths <= bound * PER_MS))
            for bound in bounds_ms
        ]

    def as_record(self) -> dict[str, object]:
        return {
            "count": self.count,
            "mean_ms": None if self.mean_ms is None else round(self.mean_ms, 2),
            "p50_ms": self.percentile_ms(0.50),
            "p90_ms": self.percentile_ms(0.90),
            "p99_ms": self.percentile_ms(0.99),
            "max_ms": self.max_ms,
        }
