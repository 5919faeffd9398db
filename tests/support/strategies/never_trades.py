"""Never has a signal."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.strategies.interface import Candles, Floats, NearestMiss, Params, Signal, Strategy, View


class NeverTrades(Strategy[Params]):
    """Wants a close below zero."""

    name = "never_trades"
    warm_up = 1

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        return NearestMiss("close below", view.trigger.close, 0.0)
