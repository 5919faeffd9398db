"""Takes longer than it may, in the way that a file names, so that a test meets the time limits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from pydantic import Field

from pipeline.strategies.interface import Candles, Floats, NearestMiss, Params, Signal, Strategy, View

LONG_S = 60.0


class OverrunsParams(Params):
    """`folder` may hold a file `sleeps` or a file `hangs`."""

    folder: Annotated[str, Field(min_length=1)] = gettempdir()


class Overruns(Strategy[OverrunsParams]):
    """`sleeps` ends when it is interrupted, `hangs` does not; without either file it is quick."""

    name = "overruns"
    params_type = OverrunsParams
    warm_up = 1

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        folder = Path(self.params.folder)
        if (folder / "sleeps").exists():
            time.sleep(LONG_S)
        while (folder / "hangs").exists():
            _sleep_on()
        return NearestMiss("close below", view.trigger.close, 0.0)


def _sleep_on() -> None:
    try:
        time.sleep(LONG_S)
    except BaseException:  # noqa: BLE001 - like code that swallows whatever it is told
        return
