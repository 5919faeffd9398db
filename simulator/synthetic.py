"""Seeded prices: regimes, over-reactions that fade, jumps.

The series is made of blocks of 1,440 one-minute bars. A block depends on the seed, the symbol, its number
and the price it begins with, on nothing else, so it can be made again from its first price: only recent
blocks stay in memory, and the past is kept as 15-minute bars.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from simulator.bars import INTERVALS, Bar, Bars, aggregated, empty, joined, make_bars
from simulator.clock import MINUTE_MS
from simulator.instruments import Instrument, stable_hash

BLOCK = 1440
BLOCK_MS = BLOCK * MINUTE_MS
HISTORY_BLOCKS = 62
COARSE_MS = 15 * MINUTE_MS
BLOCKS_KEPT = 7
LOOK_AHEAD_BLOCKS = 1

Floats = NDArray[np.float64]


class Regime(Enum):
    """What the market does for some hours: share of time, volatility factor, drift in sigmas a minute."""

    TRENDING = (0.35, 0.9, 0.09)
    RANGING = (0.45, 0.65, 0.0)
    VOLATILE = (0.20, 1.8, 0.02)

    def __init__(self, share: float, volatility: float, drift: float) -> None:
        self.share = share
        self.volatility = volatility
        self.drift = drift


REGIMES = tuple(Regime)
SHARES = [regime.share for regime in REGIMES]


@dataclass(frozen=True, slots=True)
class Reaction:
    """A kind of over-reaction: how many a block, minutes, size in sigmas, how much comes back."""

    per_block: float
    minutes: tuple[int, int]
    size: tuple[float, float]
    recovery: tuple[float, float]


REACTIONS = (
    Reaction(9.0, (4, 14), (0.9, 2.0), (0.5, 1.0)),
    Reaction(2.5, (20, 60), (1.0, 2.0), (0.5, 0.9)),
    Reaction(0.8, (120, 360), (0.9, 1.7), (0.4, 0.8)),
)
JUMPS_PER_BLOCK = 0.6
PULL_PER_BLOCK = 0.04


def regime_columns(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Volatility factor and drift (in sigmas) for each minute of a block."""
    volatility = np.empty(BLOCK)
    drift = np.empty(BLOCK)
    minute = 0
    while minute < BLOCK:
        end = min(BLOCK, minute + int(rng.integers(90, 420)))
        regime = REGIMES[int(rng.choice(len(REGIMES), p=SHARES))]
        volatility[minute:end] = regime.volatility
        drift[minute:end] = regime.drift * regime.volatility * (1 if rng.random() < 0.5 else -1)
        minute = end
    return volatility, drift


def add_reactions(returns: Floats, rng: np.random.Generator) -> None:
    """Sharp moves that come back in part: what bounce strategies live on. Unit: sigmas."""
    for kind in REACTIONS:
        for _ in range(int(rng.poisson(kind.per_block))):
            length = int(rng.integers(*kind.minutes))
            start = int(rng.integers(0, BLOCK - 4 * length))
            size = math.sqrt(length) * rng.uniform(*kind.size) * (1 if rng.random() < 0.5 else -1)
            back = size * rng.uniform(*kind.recovery)
            fade = np.exp(-np.arange(3 * length) / length)
            returns[start : start + length] += size / length
            returns[start + length : start + 4 * length] -= back * fade / fade.sum()


def add_jumps(returns: Floats, rng: np.random.Generator) -> None:
    for _ in range(int(rng.poisson(JUMPS_PER_BLOCK))):
        size = rng.uniform(6.0, 14.0)
        returns[int(rng.integers(0, BLOCK))] += size if rng.random() < 0.5 else -size


def block_returns(
    instrument: Instrument, rng: np.random.Generator, first_price: float
) -> tuple[Floats, Floats]:
    """Log return and sigma of each minute of a block."""
    volatility, drift = regime_columns(rng)
    returns = rng.standard_normal(BLOCK) * volatility + drift
    add_reactions(returns, rng)
    add_jumps(returns, rng)
    # A weak pull towards the start price keeps a long run plausible.
    pull = PULL_PER_BLOCK / BLOCK * math.log(float(instrument.start_price) / first_price)
    sigma = instrument.minute_sigma
    return returns * sigma + pull, volatility * sigma


def make_block(instrument: Instrument, seed: int, number: int, start_ms: int, first_ticks: int) -> Bars:
    """Block `number` of a symbol: 1,440 one-minute bars from `start_ms`, opening at `first_ticks`."""
    rng = np.random.default_rng([seed, stable_hash(instrument.symbol), number])
    tick = float(instrument.tick)
    returns, sigma = block_returns(instrument, rng, first_ticks * tick)
    close = np.maximum(1, np.rint(first_ticks * np.exp(np.cumsum(returns)))).astype(np.int32)
    opens = np.concatenate(([first_ticks], close[:-1])).astype(np.int32)
    reach = np.abs(rng.standard_normal((2, BLOCK))) * sigma * 0.45
    high = np.rint(np.maximum(opens, close) * (1 + reach[0])).astype(np.int32)
    low = np.maximum(1, np.rint(np.minimum(opens, close) * (1 - reach[1]))).astype(np.int32)
    activity = np.exp(rng.standard_normal(BLOCK) * 0.6) * (0.4 + np.abs(returns) / instrument.minute_sigma)
    volume = (activity * instrument.depth_usdt / (close * tick)).astype(np.float32)
    times = start_ms + np.arange(BLOCK, dtype=np.int64) * MINUTE_MS
    return make_bars(times, (opens, high, low, close), volume)


class SyntheticSeries:
    """One symbol's one-minute bars, made when somebody asks and extended as far as asked."""

    base_ms = MINUTE_MS
    freeze_ms: int | None = None
    intervals = frozenset(INTERVALS.values())

    def __init__(self, instrument: Instrument, seed: int, start_ms: int) -> None:
        """`start_ms` is the open of the first bar, a whole minute."""
        self._instrument = instrument
        self._seed = seed
        self.first_ms = start_ms
        self._first_ticks = [instrument.ticks(float(instrument.start_price))]
        self._recent: OrderedDict[int, Bars] = OrderedDict()
        self._coarse: list[Bars] = []
        self._tail = empty()

    def bars(self, interval_ms: int, start_ms: int, end_ms: int) -> Bars:
        """The bars that open in [start, end), without the incomplete one at the very beginning of the series.

        Requires: start and end are whole intervals.
        """
        first_whole = -(-self.first_ms // interval_ms) * interval_ms
        start_ms = max(start_ms, first_whole)
        if end_ms <= start_ms:
            return empty()
        fine = interval_ms % COARSE_MS != 0
        source = self._minutes(start_ms, end_ms) if fine else self._quarters(start_ms, end_ms)
        return aggregated(source, interval_ms)

    def base_bar(self, at_ms: int) -> Bar:
        """The whole one-minute bar around a moment, its future included."""
        at_ms = max(at_ms, self.first_ms)
        number = (at_ms - self.first_ms) // BLOCK_MS
        place = (at_ms - self.first_ms - number * BLOCK_MS) // MINUTE_MS
        return self._block(number).bar(place)

    def _minutes(self, start_ms: int, end_ms: int) -> Bars:
        first = (start_ms - self.first_ms) // BLOCK_MS
        last = (end_ms - 1 - self.first_ms) // BLOCK_MS
        blocks = [self._block(number) for number in range(first, last + 1)]
        return joined([block.between(start_ms, end_ms) for block in blocks])

    def _quarters(self, start_ms: int, end_ms: int) -> Bars:
        self._grow((end_ms - 1 - self.first_ms) // BLOCK_MS + LOOK_AHEAD_BLOCKS)
        if len(self._coarse) > 1:
            self._coarse = [joined(self._coarse)]
        return self._coarse[0].between(start_ms, end_ms)

    def _block(self, number: int) -> Bars:
        self._grow(number)
        block = self._recent.get(number)
        if block is None:
            block = self._make(number)
            self._keep(number, block)
        return block

    def _grow(self, number: int) -> None:
        """Walk forward until the price at the beginning of the block after `number` is known."""
        while len(self._first_ticks) <= number + 1:
            newest = len(self._first_ticks) - 1
            block = self._make(newest)
            self._first_ticks.append(int(block.close[-1]))
            self._keep(newest, block)
            self._add_coarse(block)

    def _add_coarse(self, block: Bars) -> None:
        """Whole 15-minute groups go to the history; what is left of the last one waits for the next block."""
        pending = joined([self._tail, block]) if len(self._tail) else block
        whole = int(pending.open_ms[-1] + MINUTE_MS) // COARSE_MS * COARSE_MS
        cut = int(np.searchsorted(pending.open_ms, whole))
        self._coarse.append(aggregated(pending.part(0, cut), COARSE_MS))
        self._tail = pending.part(cut, len(pending))

    def _make(self, number: int) -> Bars:
        start = self.first_ms + number * BLOCK_MS
        return make_block(self._instrument, self._seed, number, start, self._first_ticks[number])

    def _keep(self, number: int, block: Bars) -> None:
        self._recent[number] = block
        if len(self._recent) > BLOCKS_KEPT:
            del self._recent[min(self._recent)]
