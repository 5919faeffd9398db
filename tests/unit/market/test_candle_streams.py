"""10,000 candle streams as bad as they come: the store equals the clean stream, or marks what is missing."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pipeline.market.quality import check
from pipeline.market.source import CandleSource, SourceOptions
from pipeline.market.updates import Update
from tests.unit.market.candle_worlds import (
    MINUTE,
    NOW,
    SYMBOL,
    FakeExchange,
    MemoryStore,
    Row,
    as_rows,
    newest_rows,
)

CASES = 10_000
PARTS = 8
RUBBISH: Sequence[object] = (math.nan, math.inf, -math.inf, -1.0, 0.0, None, "7", [])
KEEP = 40


@dataclass
class Case:
    """One stream, made from its number alone, so that a failing one can be looked at again."""

    number: int

    def __post_init__(self) -> None:
        self.dice = random.Random(self.number)
        self.clean = newest_rows(self.dice.randint(1, 30))

    def packets(self) -> list[list[object]]:
        """Shuffled, repeated, cut into pieces, with corrupted and missing rows."""
        rows: list[object] = [row for bar in self.clean for row in self.arrivals(bar)]
        self.dice.shuffle(rows)
        size = self.dice.randint(1, len(rows) + 1)
        return [rows[at : at + size] for at in range(0, len(rows), size)]

    def arrivals(self, bar: Row) -> list[object]:
        """What comes of one bar."""
        fate = self.dice.random()
        if fate < 0.4:
            return [list(bar)]
        if fate < 0.55:
            return [list(bar)] * self.dice.randint(2, 3)
        if fate < 0.7:
            return []
        return [self.spoiled(bar), *([list(bar)] if fate < 0.85 else [])]

    def spoiled(self, bar: Row) -> object:
        """A row that cannot be the bar, whatever else it is."""
        what = self.dice.randrange(5)
        if what == 0:
            return bar[: self.dice.randrange(6)]
        if what == 1:
            return [bar[0] + self.dice.randint(1, 59_999), *bar[1:]]
        if what == 2:
            return [bar[0], bar[1], bar[3], bar[2], bar[4], bar[5]]  # high and low change places
        if what == 3:
            return [bar[0] + 1_000_000 * MINUTE.milliseconds, *bar[1:]]
        spoiled: list[object] = list(bar)
        spoiled[self.dice.randrange(1, 5)] = self.dice.choice(RUBBISH)
        return spoiled


def fed(case: Case, store: MemoryStore) -> None:
    """The stream goes the way of every stream: packet by packet, checked, then merged."""
    for packet in case.packets():
        store.update([Update(SYMBOL, "1m", check(packet, MINUTE, NOW).sound)], KEEP)


def stored(store: MemoryStore) -> list[Row]:
    found = store.look(SYMBOL, ["1m"])
    return as_rows(found["1m"].candles) if found else []


@pytest.mark.parametrize("part", range(PARTS))
def test_the_store_equals_the_clean_stream_or_marks_what_is_missing(part: int) -> None:
    """Whatever the socket brought: no bar is wrong; what is missing is had from the exchange, or marked as absent."""
    for number in range(part, CASES, PARTS):
        case, store = Case(number), MemoryStore()
        fed(case, store)
        assert all(bar in case.clean for bar in stored(store)), f"case {number}: a bar that never was"

        before = stored(store)
        lost = {int(bar[0]) for bar in case.clean[:-1] if bar not in before and case.dice.random() < 0.2}
        source = CandleSource(store, FakeExchange(lost=lost), SourceOptions(keep=KEEP))
        window = source.window(SYMBOL, ["1m"], NOW, len(case.clean))
        there = [bar for bar in case.clean if int(bar[0]) not in lost]
        assert stored(store) == there, f"case {number}"
        assert set(store.look(SYMBOL, ["1m"])["1m"].absences.times.tolist()) == lost, f"case {number}"
        assert window.ok == (not lost), f"case {number}"
