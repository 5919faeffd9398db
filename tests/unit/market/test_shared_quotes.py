"""Prices for many decisions: one question answers for all while many ask, and nobody else gets an old one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from pipeline.domain.errors import ExchangeUnavailable, UnknownSymbol
from pipeline.domain.instruments import Instruments
from pipeline.market.quotes import FEW, SharedQuotes
from pipeline.testing import FakeMarketData, FixedClock, btc

SYMBOLS = [f"B{number}/USDT:USDT" for number in range(20)]
SHARED_FOR = timedelta(seconds=0.5)
NEVER = timedelta(0)


@dataclass
class World:
    """A market of twenty symbols, whose clock goes on when a test says so."""

    clock: FixedClock = field(default_factory=FixedClock)

    def __post_init__(self) -> None:
        known = Instruments.of([btc(symbol=name, market_id=name) for name in SYMBOLS])
        self.market = FakeMarketData(self.clock, known=known)
        self.shared = SharedQuotes(self.market, SHARED_FOR)

    def ask(self, *symbols: str, every: timedelta = NEVER) -> list[str]:
        """Ask for each of them; which questions about prices the exchange got."""
        self.market.asked.clear()
        for symbol in symbols:
            assert self.shared.quote(symbol).bid == self.market.bid
            self.clock.turn(every)
        return [question for question, _ in self.market.asked if question != "now"]


def test_many_at_once_are_answered_by_one_question_about_all() -> None:
    """Two hundred decisions at a candle's close would ask two hundred times."""
    world = World()
    assert world.ask(*SYMBOLS) == ["quote"] * (FEW - 1) + ["quotes"]


def test_a_shared_quote_is_never_older_than_it_may_be() -> None:
    """The burst goes on for longer than a quote is good for."""
    world = World()
    asked = world.ask(*SYMBOLS, every=SHARED_FOR / 4)
    assert asked.count("quotes") == (len(SYMBOLS) - FEW + 1 + 4) // 5
    world.clock.turn(SHARED_FOR)
    assert world.ask(SYMBOLS[0]) == ["quote"]


def test_a_clock_that_is_put_back_makes_no_quote_young() -> None:
    """Recorded prices jump with their clock."""
    world = World()
    world.ask(*SYMBOLS)
    world.clock.turn(-SHARED_FOR * 10)
    assert world.ask(*SYMBOLS) == ["quote"] * (FEW - 1) + ["quotes"]


def test_whoever_asks_now_and_then_gets_a_fresh_one() -> None:
    """It costs less, and is not older than it need be."""
    assert World().ask(*SYMBOLS, every=SHARED_FOR * 1.01) == ["quote"] * len(SYMBOLS)


def test_a_symbol_that_the_answer_leaves_out_is_asked_for_alone() -> None:
    """The exchange then says what is wrong with it."""
    world = World()
    world.ask(*SYMBOLS)
    with pytest.raises(UnknownSymbol):
        world.shared.quote("NOPE/USDT:USDT")


def test_an_exchange_that_does_not_answer_gives_no_old_quote() -> None:
    """The governor then denies: nothing is judged by what was."""
    world = World()
    world.ask(*SYMBOLS, every=SHARED_FOR / 10)
    world.market.unavailable = "HTTP 500"
    world.clock.turn(SHARED_FOR)
    for symbol in SYMBOLS:
        with pytest.raises(ExchangeUnavailable):
            world.shared.quote(symbol)


def test_everything_else_is_the_markets_own() -> None:
    """The stage asks it for its clock and its instruments as well."""
    world = World()
    assert world.shared.now() == world.market.now()
    assert world.shared.instruments() is world.market.known
    assert world.shared.bars(SYMBOLS[0], "1m", world.market.now(), 10) == []
