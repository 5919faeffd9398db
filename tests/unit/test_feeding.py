"""How the feed's connections are opened: over the real adapter with made-up answers; no socket is opened."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config.settings import Settings
from pipeline.bootstrap import Pipeline
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.timeframes import Timeframe
from pipeline.exchange import instrument_list
from pipeline.exchange.budget.costs import Cost
from pipeline.exchange.budget.ports import Held, Unlimited
from pipeline.exchange.klines import KlineSocket
from pipeline.feeding import open_socket
from pipeline.trace.events import RecordedEvents
from tests.unit.exchange.canned import EXCHANGE_INFO, Canned, canned

BTC, ADA = "BTC/USDT:USDT", "ADA/USDT:USDT"


class Stopped(Unlimited):
    """A budget from which nothing may leave."""

    def take(self, cost: Cost) -> Any:
        raise Held("the exchange told us to stop", 60.0)


class World:
    """A pipeline as far as a connection needs one."""

    def __init__(self) -> None:
        self.exchange, self.http = canned()
        self.events = RecordedEvents()
        self.budget: Unlimited = Unlimited()

    def open(self, *symbols: str) -> KlineSocket:
        made = SimpleNamespace(
            exchange=self.exchange,
            events=self.events,
            budget=self.budget,
            settings=Settings(),
            timeframes=(Timeframe.parse("1m"),),
        )
        return open_socket(cast("Pipeline", made), frozenset(symbols), lambda _: None)

    def followed(self, *symbols: str) -> set[str]:
        socket = self.open(*symbols)
        asyncio.run(socket.close())
        return {symbol for symbol, _ in socket._streams.values()}


@pytest.fixture
def world() -> World:
    return World()


def list_ada(http: Canned) -> None:
    """From now on the exchange lists it."""
    listed: dict[str, Any] = copy.deepcopy(EXCHANGE_INFO)
    listed["symbols"].append(
        {**listed["symbols"][0], "symbol": "ADAUSDT", "pair": "ADAUSDT", "baseAsset": "ADA"}
    )
    http.answer("/fapi/v1/exchangeInfo", 200, listed)


def test_what_the_exchange_does_not_list_keeps_no_other_symbol_from_its_candles(world: World) -> None:
    """A universe may be older than the list, or have a name wrong."""
    assert world.followed(BTC, ADA) == {BTC}
    (told,) = world.events.of(EventName.FEED_TROUBLE)
    assert ADA in str(told["problem"])


def test_a_symbol_that_was_listed_since_our_list_was_made_is_looked_up_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The universe is made by another process, with a list of its own."""
    world.exchange.instruments()
    list_ada(world.http)
    monkeypatch.setattr(instrument_list, "UNLISTED_AGAIN_S", -1.0)
    assert world.followed(BTC, ADA) == {BTC, ADA}
    assert world.events.of(EventName.FEED_TROUBLE) == []


def test_for_an_unlisted_symbol_the_list_is_not_asked_for_again_and_again(world: World) -> None:
    """It weighs as much as many candles."""
    for _ in range(3):
        world.followed(BTC, ADA)
    assert len([each for each in world.http.asked if "exchangeInfo" in each.url]) == 1


def test_a_connection_for_nothing_but_unlisted_symbols_is_not_opened(world: World) -> None:
    """It would be open, and mute."""
    with pytest.raises(ExchangeUnavailable, match="lists none"):
        world.open(ADA)


def test_no_connection_is_opened_while_the_exchange_has_told_us_to_stop(world: World) -> None:
    """It begins with a request, and one more request may turn a pause into a ban."""
    world.budget = Stopped()
    with pytest.raises(ExchangeUnavailable, match="told us to stop"):
        world.open(BTC)
