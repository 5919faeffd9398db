"""Prices for many decisions: one question answers for all while many ask, and nobody else gets an old one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pipeline.domain.errors import ExchangeUnavailable, UnknownSymbol
from pipeline.domain.instruments import Instruments
from pipeline.market.quotes import FEW, SharedQuotes
from pipeline.testing import FakeMarketData, FixedClock, btc

SYMBOLS = [f"B{number}/USDT:USDT" for number in range(20)]
SHARED_FOR_S = 0.5


@dataclass
class World:
    """A market of twenty symbols, and seconds that pass when a test says so."""

    market: FakeMarketData = field(
        default_factory=lambda: FakeMarketData(
            FixedClock(), known=Instruments.of([btc(symbol=name, market_id=name) for name in SYMBOLS])
        )
    )
    seconds: float = 100.0

    def __post_init__(self) -> None:
        self.shared = SharedQuotes(self.market, SHARED_FOR_S, lambda: self.seconds)

    def ask(self, *symbols: str, every_s: float = 0.0) -> list[str]:
        """Ask for each of them; which questions the exchange got."""
        self.market.asked.clear()
        for symbol in symbols:
            assert self.shared.quote(symbol).bid == self.market.bid
            self.seconds += every_s
        return [question for question, _ in self.market.asked]


def test_many_at_once_are_answered_by_one_question_about_all() -> None:
    """Two hundred decisions at a candle's close would ask two hundred times."""
    world = World()
    assert world.ask(*SYMBOLS) == ["quote"] * (FEW - 1) + ["quotes"]


def test_a_shared_quote_is_never_older_than_it_may_be() -> None:
    """The burst goes on for longer than a quote is good for."""
    world = World()
    asked = world.ask(*SYMBOLS, every_s=SHARED_FOR_S / 4)
    assert asked.count("quotes") == (len(SYMBOLS) - FEW + 1 + 4) // 5
    world.seconds += SHARED_FOR_S
    assert world.ask(SYMBOLS[0]) == ["quote"]


def test_whoever_asks_now_and_then_gets_a_fresh_one() -> None:
    """It costs less, and is not older than it need be."""
    assert World().ask(*SYMBOLS, every_s=SHARED_FOR_S) == ["quote"] * len(SYMBOLS)


def test_a_symbol_that_the_answer_leaves_out_is_asked_for_alone() -> None:
    """The exchange then says what is wrong with it."""
    world = World()
    world.ask(*SYMBOLS)
    with pytest.raises(UnknownSymbol):
        world.shared.quote("NOPE/USDT:USDT")


def test_an_exchange_that_does_not_answer_gives_no_old_quote() -> None:
    """The governor then denies: nothing is judged by what was."""
    world = World()
    world.ask(*SYMBOLS, every_s=SHARED_FOR_S / 10)
    world.market.unavailable = "HTTP 500"
    world.seconds += SHARED_FOR_S
    for symbol in SYMBOLS:
        with pytest.raises(ExchangeUnavailable):
            world.shared.quote(symbol)


def test_everything_else_is_the_markets_own() -> None:
    """The stage asks it for its clock and its instruments as well."""
    world = World()
    assert world.shared.now() == world.market.now()
    assert world.shared.instruments() is world.market.known
    assert world.shared.bars(SYMBOLS[0], "1m", world.market.now(), 10) == []
