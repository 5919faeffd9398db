"""One symbol's quote, or its order, is never answered: the other symbols' orders go on beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Decision
from pipeline.domain.ids import DecisionId
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.outcomes import Outcome
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.waiting import eventually

SICK = ("BTC/USDT:USDT", "ETH/USDT:USDT")
CALM = tuple(f"{base}/USDT:USDT" for base in ("SOL", "XRP", "ADA", "DOGE", "BNB", "LINK", "DOT", "LTC"))
SILENT_S = 5.0
SETTINGS = {
    "UNIVERSE_SYMBOLS": ",".join((*SICK, *CALM)),
    "STRATEGIES_ENABLED": "always_buys",
    "EXCHANGE_TIMEOUT_S": str(SILENT_S),
    "EXCHANGE_PUBLIC_TIMEOUT_S": str(SILENT_S),
    "EXECUTION_SLIPPAGE_BPS": "100",
    "GOVERNOR_PRICE_COLLAR_BPS": "1000",
}


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    """As many children as `throughline up` starts, every candle in the store, both children warm."""
    with chain_processes(("--seed", "7"), **SETTINGS) as running:
        running.launch_worker("market", concurrency=2)
        running.launch_worker("orders", concurrency=2)
        running.await_workers("market", "orders")
        for symbol in (*SICK, *CALM):
            running.pipeline.windows.window(symbol, ("1m", "5m", "15m"), running.pipeline.exchange.now(), 200)
        yield running
        running.simulator.calm()


def took_s(decision: Decision) -> float:
    assert decision.ended_at is not None
    return (decision.ended_at - decision.enqueued_at).total_seconds()


def last_executed(decisions: list[Decision]) -> datetime:
    assert {each.outcome for each in decisions} == {Outcome.EXECUTED}, [each.detail for each in decisions]
    return max(each.ended_at for each in decisions if each.ended_at is not None)


def test_a_quote_that_is_never_answered_holds_nobody_up(chain: ChainProcesses) -> None:
    """It holds one child of the orders worker until it is given up; the other child goes on.

    Fewer ask than share one answer about all symbols, which would have the quote.
    """
    chain.passes(CALM[:2])
    chain.let_quotes_age()
    chain.simulator.fault("timeout_before", endpoint="/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")
    unquoted, *others = chain.passes((SICK[0], CALM[2]))
    assert unquoted.ended_at is not None
    assert last_executed(others) < unquoted.ended_at, "asked for after it, over before it"
    assert took_s(unquoted) > SILENT_S, "the exchange was waited for"
    assert unquoted.outcome == Outcome.BLOCKED
    assert CheckCode.NO_REFERENCE.value in unquoted.detail
    assert CheckCode.NOT_IN_UNIVERSE.value not in unquoted.detail, "what the exchange did tell counts"


def test_an_order_that_is_never_answered_holds_nobody_up(chain: ChainProcesses) -> None:
    """The same; its symbol stays closed until its fate is known."""
    chain.passes(CALM[4:6])
    chain.simulator.fault("timeout_before", endpoint="/fapi/v1/order", method="POST", symbol="ETHUSDT")
    sick = chain.enqueue(SICK[1])
    sent_at = eventually(lambda: sent(chain, sick), 30, "the order to be sent")
    others = chain.passes(CALM[6:])
    assert last_executed(others) < sent_at + timedelta(seconds=SILENT_S), "over before it was given up"
    assert chain.decision(sick).is_open
    assert order_of(chain, sick).state in {OrderState.SENDING, OrderState.UNKNOWN}
    eventually(
        lambda: order_of(chain, sick).state is OrderState.UNKNOWN, 30, "its child to give the exchange up"
    )


def sent(chain: ChainProcesses, decision_id: DecisionId) -> datetime | None:
    """When its order left; an order of a decision that ended without one never will."""
    decision = chain.decision(decision_id)
    assert decision.is_open, decision
    with chain.pipeline.ledger.read() as unit:
        return next((order.sent_at for order in unit.orders.of(decision_id)), None)


def order_of(chain: ChainProcesses, decision_id: DecisionId) -> Order:
    with chain.pipeline.ledger.read() as unit:
        (order,) = unit.orders.of(decision_id)
    return order
