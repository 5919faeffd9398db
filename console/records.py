"""What commands work with: the ledger alone to read, the whole pipeline to change something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.home import ensure_home
from config.loading import load
from config.settings import Settings
from pipeline.ledger.sql import SqlLedger
from pipeline.trace import logs

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

COMPONENT = "console"
"""The name under which the command line writes to the logs."""


@dataclass(frozen=True, slots=True)
class Book:
    """A ledger that exists and fits this program, and the settings that say where it is."""

    settings: Settings
    ledger: SqlLedger


def opened() -> Book:
    """To read. Raises: ConfigError, LedgerUnavailable."""
    settings = load()
    ledger = SqlLedger(settings.ledger_url, busy_timeout_s=settings.ledger.busy_timeout_s)
    ledger.check_version()
    return Book(settings, ledger)


def pipeline_of(settings: Settings) -> Pipeline:
    """This process's pipeline; connects to nothing yet."""
    # Imported when needed: the exchange's library alone takes longer than most commands.
    from pipeline.bootstrap import build  # noqa: PLC0415

    return build(settings)


def writing() -> Pipeline:
    """To change something; what is done stands in the logs, too. Raises: ConfigError, LedgerUnavailable."""
    pipeline = pipeline_of(load())
    pipeline.ledger.check_version()
    ensure_home(pipeline.settings.home)
    logs.configure(COMPONENT, pipeline.settings)
    return pipeline
