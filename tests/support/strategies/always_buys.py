"""Buys at every bar, so that a test or a benchmark need not wait for the market."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.strategies.interface import Candles, Floats, NearestMiss, Params, Side, Signal, Strategy, View


class AlwaysBuys(Strategy[Params]):
    """A signal at every bar: stop 2 % below the close, target 3 % above."""

    name = "always_buys"
    warm_up = 1

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        close = view.trigger.close
        return Signal.from_floats(
            Side.BUY,
            score=0.9,
            entry=close,
            stop_loss=close * 0.98,
            take_profit=close * 1.03,
            reason="always",
        )
