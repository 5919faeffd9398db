"""Fakes of the ports, for tests and rehearsals. They pass the same contract tests as the real adapter against the
simulated exchange.
"""

from __future__ import annotations

from pipeline.testing.market import FakeMarketData, FakeQuote, FixedClock, btc
from pipeline.testing.venue import Accident, FakeVenue

__all__ = ["Accident", "FakeMarketData", "FakeQuote", "FakeVenue", "FixedClock", "btc"]
