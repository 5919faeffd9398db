"""A key that may withdraw is refused before anything trades with real money: the real adapter, over HTTP."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from config.settings import Settings
from pipeline.bootstrap import Pipeline
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName
from pipeline.exchange.ccxt_adapter import CcxtExchange, ExchangeOptions, connect
from pipeline.exchange.wire import WireOptions
from pipeline.holding_keys import refuse_withdrawal
from pipeline.trace.events import RecordedEvents
from tasks.lifecycle import refuse_a_key_that_withdraws


def exchange(url: str, key: str, *, can_withdraw: bool = False) -> CcxtExchange:
    """An account of this key on the simulated exchange."""
    body = {"api_key": key, "api_secret": "secret", "can_withdraw": can_withdraw}
    request = urllib.request.Request(f"{url}/_sim/accounts", json.dumps(body).encode(), method="POST")  # noqa: S310 - our own address
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=60).close()  # noqa: S310 - our own address
    wire = WireOptions(exchange_id="binanceusdm", api_key=key, api_secret="secret", base_url=url)
    return connect(ExchangeOptions(account="live-main", mode=Mode.LIVE, wire=wire))


def live(over: CcxtExchange, home: Path, mode: Mode = Mode.LIVE) -> Pipeline:
    """A pipeline of mode live whose exchange is the simulated one."""
    pipeline = Pipeline(Settings(mode=mode, home=home), events=RecordedEvents())
    pipeline.__dict__["exchange"] = over
    return pipeline


def test_a_key_that_may_withdraw_does_not_trade_real_money(
    simulator_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither under `up` nor as a worker of its own; with paper money it may."""
    over = exchange(simulator_url, "can-withdraw", can_withdraw=True)
    with pytest.raises(ConfigError, match="withdraw"):
        refuse_withdrawal(live(over, tmp_path))
    refuse_withdrawal(live(over, tmp_path, Mode.PAPER))
    monkeypatch.setattr("tasks.lifecycle.services", lambda: live(over, tmp_path))
    refuse_a_key_that_withdraws(options={"queues": "fetch,evaluate"})
    with pytest.raises(SystemExit):
        refuse_a_key_that_withdraws(options={"queues": "execute"})


def test_a_key_that_may_not_trades_and_one_that_nobody_knows_is_named(
    simulator_url: str, tmp_path: Path
) -> None:
    """An exchange that does not answer this question must not keep positions from being looked after."""
    good = live(exchange(simulator_url, "trades-only"), tmp_path)
    refuse_withdrawal(good)
    assert isinstance(good.events, RecordedEvents)
    assert good.events.of(EventName.SECURITY) == []
    wire = WireOptions(exchange_id="binanceusdm", api_key="nobody", api_secret="x", base_url=simulator_url)
    unknown = live(connect(ExchangeOptions(account="live-main", mode=Mode.LIVE, wire=wire)), tmp_path)
    refuse_withdrawal(unknown)
    assert isinstance(unknown.events, RecordedEvents)
    (told,) = unknown.events.of(EventName.SECURITY)
    assert "unknown" in str(told)
