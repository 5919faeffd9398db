"""Wants what a file says, so that a rehearsal decides when positions are opened and when they are closed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from pydantic import Field

from pipeline.strategies.interface import Candles, Floats, NearestMiss, Params, Side, Signal, Strategy, View


class TakesSidesParams(Params):
    """`folder` holds a file `side` with `buy` or `sell` in it; without one it buys."""

    folder: Annotated[str, Field(min_length=1)] = gettempdir()


class TakesSides(Strategy[TakesSidesParams]):
    """A signal at every bar: stop 2 % away from the close, target 3 %."""

    name = "takes_sides"
    params_type = TakesSidesParams
    warm_up = 1

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        close = view.trigger.close
        side = self._side()
        return Signal.from_floats(
            side,
            score=0.9,
            entry=close,
            stop_loss=close * (1 - 0.02 * side.sign),
            take_profit=close * (1 + 0.03 * side.sign),
            reason="told so",
        )

    def _side(self) -> Side:
        try:
            return Side((Path(self.params.folder) / "side").read_text(encoding="utf-8"))
        except OSError:
            return Side.BUY
