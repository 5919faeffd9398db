"""Which account is meant while nothing runs: in mode paper each run has its own, which no file names after its end."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing

from rich.markup import escape

from config.loading import Loaded, read
from config.settings import Settings
from console.output import console
from pipeline.domain.errors import ConfigError, LedgerUnavailable
from pipeline.ledger.sql import SqlLedger

OF_NEWEST_RUN = "nothing runs with this home: {account} is the account of its newest run"


def settings_of_account() -> Settings:
    """The settings of a command that is about an account.

    Where nothing runs and no account is configured it is the newest run's, and stderr says so. Raises: ConfigError.
    """
    loaded = read()
    settings = loaded.settings
    run = _newest_run(settings) if _is_left_open(loaded) else None
    if run is None or run.account == settings.account:
        return settings
    console(sys.stderr).print(f"[dim]{escape(OF_NEWEST_RUN.format(account=run.account))}[/]", soft_wrap=True)
    return run


def _is_left_open(loaded: Loaded) -> bool:
    return (
        loaded.settings.has_simulator
        and loaded.session_file is None
        and "exchange.account" not in loaded.sources
    )


def _newest_run(settings: Settings) -> Settings | None:
    """With its account; None when the ledger knows no run in this mode, or cannot be read: others say why."""
    ledger = SqlLedger(settings.ledger_url, busy_timeout_s=settings.ledger.busy_timeout_s)
    try:
        with closing(ledger):
            ledger.check_version()
            with ledger.read() as unit:
                return _as_in(unit.sessions.latest(), settings)
    except (ConfigError, LedgerUnavailable):
        return None


def _as_in(run: Mapping[str, object] | None, settings: Settings) -> Settings | None:
    account = "" if run is None else str(run["account"])
    name = account.removeprefix(f"{settings.mode}-")
    if name == account:
        return None
    return settings.model_copy(update={"exchange": settings.exchange.model_copy(update={"account": name})})
