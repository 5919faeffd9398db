"""All that a strategy needs to know of Throughline. A strategy imports this module, numpy if it likes, no
more.

::

    class BuyTheDipParams(Params):
        depth: Annotated[float, Field(gt=0, lt=0.5)] = 0.02

    class BuyTheDip(Strategy[BuyTheDipParams]):
        name = "buy_the_dip"
        params_type = BuyTheDipParams

        def indicators(self, candles): return {"mean": sma(candles.close, 20)}

        def signal(self, view):
            now = view.trigger
            dip = 1 - now.close / now.last("mean")
            miss = first_miss([above("dip", dip, self.params.depth)])
            return miss or Signal.from_floats(Side.BUY, ...)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from pipeline.domain.signals import NearestMiss, Regime, Side, Signal
from pipeline.strategies.candles import Candles, Floats
from pipeline.strategies.conditions import Condition, above, below, first_miss
from pipeline.strategies.indicators import last as last_of
from pipeline.strategies.regime import Climate

__all__ = [
    "AnyStrategy",
    "Candles",
    "Climate",
    "Condition",
    "Floats",
    "Frame",
    "NearestMiss",
    "Params",
    "Regime",
    "Side",
    "Signal",
    "Strategy",
    "View",
    "above",
    "below",
    "first_miss",
]


class Params(BaseModel):
    """A strategy's parameters: typed, checked when the program starts, frozen. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


P = TypeVar("P", bound=Params)


@dataclass(frozen=True, slots=True)
class Frame:
    """One timeframe as a strategy sees it: closed bars, oldest first, and its own indicators on them."""

    timeframe: str
    candles: Candles
    indicators: Mapping[str, Floats]
    climate: Climate

    @property
    def close(self) -> float:
        """The last closed bar's close, in quote."""
        return last_of(self.candles.close)

    def last(self, name: str, back: int = 0) -> float:
        """An indicator at the last closed bar, or `back` bars before it. Raises: KeyError, IndexError."""
        return float(self.indicators[name][-1 - back])

    def tail(self, name: str, count: int) -> Floats:
        """An indicator's last `count` values. Raises: KeyError."""
        return self.indicators[name][-count:]


@dataclass(frozen=True, slots=True)
class View:
    """The market at one instant: the configured timeframes, in the configured order.

    Strategies speak of roles, so that they run on 1m/5m/15m as on 30m/1h/4h: the first timeframe is the
    `trigger`, the last the `trend`, and the one in the middle lies between (with two, or one, they
    coincide).
    """

    frames: tuple[Frame, ...]

    @property
    def trigger(self) -> Frame:
        return self.frames[0]

    @property
    def middle(self) -> Frame:
        return self.frames[len(self.frames) // 2]

    @property
    def trend(self) -> Frame:
        return self.frames[-1]

    @property
    def regime(self) -> Regime:
        """The trigger's regime: the label of the verdict."""
        return self.trigger.climate.regime


class Strategy(ABC, Generic[P]):
    """One idea, in one class, in one file. Pure: the same bars give the same answer, live and over history.

    `name` is its name in the configuration; `params_type` its parameters; `warm_up` how many closed bars
    each timeframe must have before it is asked at all.
    """

    name: ClassVar[str]
    params_type: ClassVar[type[Params]] = Params
    warm_up: ClassVar[int] = 200

    def __init__(self, params: P) -> None:
        self.params = params

    @abstractmethod
    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        """What `signal` wants to read, for one timeframe.

        Shape:  candles (n,); each result (n,), NaN where there is no value yet.
        Causal: a value reads its own bar and earlier ones only. No `shift(-1)`, no centred windows.
        """

    @abstractmethod
    def signal(self, view: View) -> Signal | NearestMiss:
        """What to do now that the last bars are closed, or the condition that kept it from acting."""


AnyStrategy = Strategy[Any]
