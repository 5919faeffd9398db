"""Before money is at stake, a person is told what will be done with it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings
from console.allowance import allowance
from console.commands import roles
from console.roles import QUEUES, QUEUES_OF
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError


def of(mode: Mode) -> Settings:
    keys = {"api_key": SecretStr("a-key-of-mine"), "api_secret": SecretStr("a-secret-of-mine")}
    universe = {"symbols": ["BTC/USDT:USDT", "ETH/USDT:USDT"]}
    said = {"mode": mode, "exchange": {"account": "savings", **keys}, "universe": universe}
    return Settings.model_validate(said)


def test_paper_money_needs_no_warning() -> None:
    """A warning that is always there is read by nobody."""
    assert allowance(of(Mode.PAPER)) == ""


@pytest.mark.parametrize(("mode", "word"), [(Mode.LIVE, "real money"), (Mode.TESTNET, "not real")])
def test_every_limit_is_told_before_anything_starts(mode: Mode, word: str) -> None:
    """Whoever mistook a unit or a zero sees it here, and not in the account."""
    told = allowance(of(mode))
    governor = Settings().governor
    assert word in told.splitlines()[0]
    for part in (
        f"{mode}-savings",
        "BTC/USDT:USDT",
        "adaptive_ob",
        "limit_ioc, at most 15 bps",
        "0.5 % of the equity",
        f"{governor.max_order_notional_usdt:g} USDT",
        f"{governor.max_positions} positions",
        f"{governor.max_leverage:g} times",
        f"{governor.max_orders_per_day} orders",
        f"{governor.max_daily_loss_pct:g} %",
        "HALTED",
        "throughline kill on",
    ):
        assert part in told, part
    assert "a-key-of-mine" not in told


def test_a_worker_that_executes_says_it_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On several hosts nobody runs `up`."""
    became: list[object] = []
    monkeypatch.setattr(roles, "load", lambda: of(Mode.LIVE))
    monkeypatch.setattr(roles, "tell_without_redis", lambda _: None)
    monkeypatch.setattr("console.roles.become", became.append)
    roles.worker("fetch,evaluate")
    assert capsys.readouterr().err == ""
    roles.worker("validate,execute")
    assert "real money" in capsys.readouterr().err
    assert len(became) == 2


@pytest.mark.parametrize("queue", QUEUES)
def test_only_workers_that_trade_ask_for_keys(
    queue: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A host that only looks at candles need not hold the account."""
    became: list[object] = []
    monkeypatch.setattr(roles, "load", lambda: Settings(mode=Mode.LIVE, home=tmp_path))
    monkeypatch.setattr("console.roles.become", became.append)

    with nullcontext() if queue in QUEUES_OF["market"] else pytest.raises(ConfigError, match="API_KEY"):
        roles.worker(queue)

    assert bool(became) == (queue in QUEUES_OF["market"])
