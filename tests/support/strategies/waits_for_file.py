"""Holds its worker in the evaluate stage until a file appears, so that a test can kill it there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from pydantic import Field

from pipeline.strategies.interface import Candles, Floats, NearestMiss, Params, Side, Signal, Strategy, View

PAUSE_S = 0.01


class WaitsForFileParams(Params):
    """`folder` gets a file `waiting` when it waits, and is watched for a file `go`."""

    folder: Annotated[str, Field(min_length=1)] = gettempdir()


class WaitsForFile(Strategy[WaitsForFileParams]):
    """Buys once it may go on."""

    name = "waits_for_file"
    params_type = WaitsForFileParams
    warm_up = 1

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        folder = Path(self.params.folder)
        (folder / "waiting").touch()
        while not (folder / "go").exists():
            time.sleep(PAUSE_S)
        close = view.trigger.close
        return Signal.from_floats(
            Side.BUY,
            score=0.9,
            entry=close,
            stop_loss=close * 0.98,
            take_profit=close * 1.03,
            reason="went on",
        )
