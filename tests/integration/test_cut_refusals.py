"""The exchange tells us to stop in an answer that is cut, over a real socket and a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.domain.events import EventName
from pipeline.exchange.replies import Lost
from pipeline.exchange.wire import Wire, WireOptions
from tests.integration.budget_worlds import CANCEL, CANDLES, host
from tests.support.raw_http import Raw, RawServer

CANDLES_OF = {"symbol": "BTCUSDT", "interval": "1m", "limit": 2}


@pytest.fixture
def server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.stop()


@pytest.mark.parametrize("status", [429, 418])
def test_a_refusal_that_is_cut_stops_every_process(server: RawServer, redis_url: str, status: int) -> None:
    """Three more requests, and a 429 is a ban."""
    server.answer = Raw(status, '{"code":-1003', {"Retry-After": "30"}, promised=500)
    here, other = host(redis_url), host(redis_url)
    wire = Wire(WireOptions(base_url=server.url), lambda: 0, here.budget)
    first, *more = [wire.request("fapiPublicGetKlines", CANDLES_OF) for _ in range(4)]
    assert isinstance(first, Lost)
    assert first.sent
    assert first.retry_after_s is None, "the request came to nothing; why is told to the budget"
    assert [isinstance(each, Lost) and each.sent for each in more] == [False] * 3
    assert len(server.requests) == 1
    assert {15 < other.held(cost).wait_s <= 30.1 for cost in (CANDLES, CANCEL)} == {True}
    (event,) = here.heard(EventName.RATE_LIMITED)
    assert str(status) in str(event["why"])
    assert len(here.heard(EventName.ALERT)) == (status == 418)
