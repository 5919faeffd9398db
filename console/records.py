"""This process's pipeline, for commands that read the ledger and for those that change something."""

from __future__ import annotations

from config.home import ensure_home
from config.loading import load
from pipeline.bootstrap import Pipeline, build
from pipeline.trace import logs

COMPONENT = "console"
"""The name under which the command line writes to the logs."""


def opened() -> Pipeline:
    """To read: with a ledger that exists and fits this program. Raises: ConfigError, LedgerUnavailable."""
    pipeline = build(load())
    pipeline.ledger.check_version()
    return pipeline


def writing() -> Pipeline:
    """To change something: what it does stands in the logs as well. Raises: ConfigError, LedgerUnavailable."""
    pipeline = opened()
    ensure_home(pipeline.settings.home)
    logs.configure(COMPONENT, pipeline.settings)
    return pipeline
