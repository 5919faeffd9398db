"""A poison strategy: the process that evaluates it dies at once, as in a crash of a C extension."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from pipeline.strategies.interface import Candles, Floats, NearestMiss, Params, Signal, Strategy, View


class KillsItsWorker(Strategy[Params]):
    """SIGKILL to its own process."""

    name = "kills_its_worker"
    warm_up = 1

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        os.kill(os.getpid(), signal.SIGKILL)
        return NearestMiss("being alive", 0.0, 1.0)
