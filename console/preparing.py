"""What must be true before the first decision: a migrated ledger, an exchange that answers, a recorded session."""

from __future__ import annotations

from datetime import datetime

import requests

from config.settings import Settings
from config.snapshot import snapshot
from console.records import COMPONENT
from console.supervise.programs import embeds_simulator
from pipeline.bootstrap import Pipeline, build
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError, ExchangeUnavailable
from pipeline.domain.switches import TradingState
from pipeline.trace import logs

_BY = "up"


def prepare(settings: Settings) -> str:
    """Ledger, exchange, session, trading state; says in a few words what it found.

    Raises: ConfigError, ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
    """
    if settings.mode is Mode.PAPER and not embeds_simulator(settings):
        open_account(settings)
    logs.configure(COMPONENT, settings)
    pipeline = build(settings)
    pipeline.ledger.migrate()
    report = pipeline.universe_report()
    if report.is_empty:
        raise ConfigError(
            f"no symbol of the universe can be traded: {report.summary}",
            where="universe.symbols",
            remedy="`throughline universe` says why for each; TRADING_SYMBOLS overrides the list",
        )
    state = _record(pipeline, pipeline.clock.now())
    return f"{report.summary}; trading is {state}"


def open_account(settings: Settings) -> None:
    """An account on a simulated exchange that somebody else runs. Raises: ExchangeUnavailable."""
    exchange = settings.exchange
    keys = {
        "api_key": exchange.api_key.get_secret_value(),
        "api_secret": exchange.api_secret.get_secret_value(),
    }
    body = {**keys, "balance": str(settings.simulator.balance_usdt)}
    try:
        requests.post(f"{settings.simulator_url}/_sim/accounts", json=body, timeout=5).raise_for_status()
    except requests.RequestException as error:
        raise ExchangeUnavailable(f"the simulated exchange at {settings.simulator_url}: {error}") from error


def _record(pipeline: Pipeline, now: datetime) -> TradingState:
    """The session's row; and an account seen for the first time gets its trading state."""
    first = _is_new(pipeline)
    pipeline.refresh_equity()
    with pipeline.ledger.begin() as unit:
        unit.sessions.start(
            session_id=f"session_{now:%Y%m%d_%H%M%S}",
            config_hash=pipeline.config_hash,
            account=pipeline.account,
            mode=pipeline.settings.mode.value,
            snapshot=snapshot(pipeline.settings),
            at=now,
        )
        if first:
            state = _first_state(pipeline.settings)
            unit.switches.set_trading_state(
                pipeline.account,
                state,
                by=_BY,
                reason=f"first start in mode {pipeline.settings.mode}",
                at=now,
            )
        return unit.switches.trading_state(pipeline.account)


def _is_new(pipeline: Pipeline) -> bool:
    """Whether this ledger has never seen the account's equity: every start records it."""
    with pipeline.ledger.read() as unit:
        return unit.equity.latest(pipeline.account) is None


def _first_state(settings: Settings) -> TradingState:
    """Paper money trades at once; real money waits for a person, unless the configuration says otherwise."""
    return (
        TradingState.ACTIVE if settings.mode is Mode.PAPER else TradingState(settings.governor.state_at_start)
    )
