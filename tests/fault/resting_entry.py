"""A process of its own that places an entry which rests, and waits for it: to be killed meanwhile."""

from __future__ import annotations

import sys

from pipeline.domain.intents import TimeInForce
from pipeline.domain.switches import TradingState
from pipeline.domain.timeframes import SystemClock
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.router import OrderRouter
from pipeline.ledger.memory import memory_ledger
from pipeline.trace.events import RecordedEvents
from tests.integration.exchange_worlds import Exchange, a_decision, adapter, as_order


def main(url: str, key: str) -> None:
    venue, clock, ledger = adapter(url, key=key, secret="s"), SystemClock(), memory_ledger()
    wanted = Exchange(venue, venue, clock).intent(bps=-300, tif=TimeInForce.GTC)
    decision = a_decision(clock.now())
    _, permit = as_order(wanted, decision, clock.now())
    with ledger.begin() as unit:
        unit.switches.set_trading_state("test", TradingState.ACTIVE, by="t", reason="", at=clock.now())
        unit.decisions.open(decision)
        unit.permits.add(permit)
    options = ExecutionOptions(rest_s=600, dead_man_s=1.5)
    router = OrderRouter(ledger, venue, clock, lambda *_: None, options, RecordedEvents())
    router.place(decision, wanted, permit)


if __name__ == "__main__":
    main(*sys.argv[1:])
