"""For those who like pandas: a strategy whose indicators are written on a frame.

Only a strategy that derives from `FrameStrategy` has frames made: they cost many times what its indicators
cost. Only a file that imports this module loads pandas.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.strategies.candles import Candles, Floats
from pipeline.strategies.interface import P, Strategy

__all__ = ["FrameStrategy", "as_frame"]

COLUMNS = ("open", "high", "low", "close", "volume")


def as_frame(candles: Candles) -> pd.DataFrame:
    """The bars as a frame of their own, which may be changed.

    Shape:  n rows, oldest first, indexed by opening time (UTC); columns `open, high, low, close, volume`.
    Unit:   prices in the quote asset, volume in the base asset; all float64.
    """
    index = pd.DatetimeIndex(candles.open_time.astype("datetime64[ms]"), name="open_time").tz_localize("UTC")
    return pd.DataFrame({name: getattr(candles, name).copy() for name in COLUMNS}, index=index)


class FrameStrategy(Strategy[P]):
    """A strategy that computes its indicators on a pandas frame. The rest is as with any other."""

    @abstractmethod
    def frame_indicators(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame of one timeframe with the indicators as further columns, NaN where there is no value yet.

        Shape:  as many rows as it was given, in the same order.
        Causal: a row reads itself and earlier ones only. No `shift(-1)`, no centred windows.
        """

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        """The added columns, as `view.trigger.last("name")` reads them. Raises: TypeError, ValueError."""
        frame = self.frame_indicators(as_frame(candles))
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(f"{self.name}.frame_indicators returned {type(frame).__name__}, not a DataFrame")
        if len(frame) != len(candles):
            raise ValueError(f"{self.name}.frame_indicators made {len(frame)} rows out of {len(candles)}")
        added = [str(name) for name in frame.columns if name not in COLUMNS]
        return {name: np.asarray(frame[name].to_numpy(dtype="float64")) for name in added}
