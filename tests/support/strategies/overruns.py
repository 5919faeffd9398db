"""Cannot be interrupted while a file says so, like compiled code that never returns: its process has to be killed."""

from __future__ import annotations

import signal as signals
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from pydantic import Field

from pipeline.strategies.interface import Candles, Floats, NearestMiss, Params, Signal, Strategy, View

LONG_S = 60.0


class OverrunsParams(Params):
    """`folder` may hold a file `hangs`."""

    folder: Annotated[str, Field(min_length=1)] = gettempdir()


class Overruns(Strategy[OverrunsParams]):
    """Hangs while the file is there, and says so in another one; otherwise it has no signal, at once."""

    name = "overruns"
    params_type = OverrunsParams
    warm_up = 1

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        while (Path(self.params.folder) / "hangs").exists():
            (Path(self.params.folder) / "hanging").touch()
            signals.pthread_sigmask(signals.SIG_BLOCK, {signals.SIGALRM, signals.SIGUSR1})
            time.sleep(LONG_S)
        return NearestMiss("close below", view.trigger.close, 0.0)
