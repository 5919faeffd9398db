"""What the simulated exchange still tells of orders of days ago: as little as the real one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from simulator.app import build
from simulator.errors import ApiError
from simulator.options import Options
from simulator.params import Params
from simulator.rest_trade import all_algos, all_orders, delete_algo, get_algo, get_order, user_trades
from simulator.world import Ask, Handler, World
from tests.unit.simulator.exchange_worlds import request

BTC = "BTCUSDT"
DAY_MS = 86_400_000


@dataclass
class Trader:
    """Somebody who holds 0.01 BTC at an exchange, and asks it `days` later."""

    world: World = field(default_factory=lambda: build(Options(port=0, seed=3, symbols="1")))

    def __post_init__(self) -> None:
        self.account = self.world.engine.accounts["sim-key"]
        self.now_ms = self.world.clock.now_ms()
        self.place("held", "MARKET", None)

    def place(self, client_id: str, kind: str, price: str | None) -> None:
        wanted = request("BUY", kind, "0.01", price, client_id=client_id)
        self.world.engine.place(self.account, replace(wanted, symbol=BTC), self.now_ms)

    def wait_for(self, client_id: str, away: str) -> None:
        """A stop that waits that far from the market."""
        wanted = request(
            "SELL", "STOP_MARKET", "0.01", trigger=self.price(away), client_id=client_id, reduce_only=True
        )
        self.world.engine.place_algo(self.account, replace(wanted, symbol=BTC), self.now_ms)

    def price(self, away: str) -> str:
        last = self.world.market.last(BTC, self.now_ms)
        return str((last * Decimal(away)).quantize(Decimal(1)))

    def ask(self, handler: Handler, days: float = 0, **params: str) -> object:
        later = self.now_ms + round(days * DAY_MS)
        return handler(Ask(self.world, Params({"symbol": BTC, **params}), later, self.account))

    def cancel(self, client_id: str) -> None:
        self.ask(delete_algo, clientAlgoId=client_id)


def listed(rows: object, name: str) -> list[object]:
    assert isinstance(rows, list)
    return [row[name] for row in rows]


def test_a_cancelled_conditional_order_is_forgotten_after_three_days() -> None:
    """Binance tells its fate no longer: whoever has not heard of it by then never will."""
    trader = Trader()
    trader.wait_for("waits", "0.5")
    trader.wait_for("cancelled", "0.5")
    trader.cancel("cancelled")
    since = str(trader.now_ms)
    assert trader.ask(get_algo, 3, clientAlgoId="cancelled")
    assert listed(trader.ask(all_algos, 3, startTime=since), "clientAlgoId") == ["waits", "cancelled"]
    with pytest.raises(ApiError, match="-2013"):
        trader.ask(get_algo, 3.01, clientAlgoId="cancelled")
    with pytest.raises(ApiError, match="-2011"):
        trader.ask(delete_algo, 3.01, clientAlgoId="cancelled")
    assert listed(trader.ask(all_algos, 3.01, startTime=since), "clientAlgoId") == ["waits"]
    assert trader.ask(get_algo, 80, clientAlgoId="waits")


def test_an_order_is_forgotten_after_three_days_unless_something_was_traded() -> None:
    """A fill can be found for months."""
    trader = Trader()
    trader.place("unfilled", "LIMIT", trader.price("0.96"))
    order = trader.account.orders.by_client["unfilled"][-1]
    trader.world.engine.cancel(trader.account, order, trader.now_ms)
    with pytest.raises(ApiError, match="-2013"):
        trader.ask(get_order, 3.01, origClientOrderId="unfilled")
    assert trader.ask(get_order, 3.01, origClientOrderId="held")
    assert listed(trader.ask(all_orders, 3.01), "clientOrderId") == ["held"]


@pytest.mark.parametrize("handler", [all_orders, all_algos, user_trades])
def test_no_list_spans_more_than_a_week(handler: Handler) -> None:
    """-4165: who asks for the life of an old order is refused, and not answered with a part of it."""
    trader = Trader()
    since = str(trader.now_ms)
    trader.ask(handler, 7, startTime=since)
    trader.ask(handler, 30, startTime=since, endTime=str(trader.now_ms + 7 * DAY_MS))
    with pytest.raises(ApiError, match="-4165"):
        trader.ask(handler, 7.01, startTime=since)
