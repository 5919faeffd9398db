"""`throughline prune`: decisions that wanted nothing are forgotten after a while; how they ended stays counted."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from config.loading import load
from console.output import console
from pipeline.domain.errors import ConfigError
from pipeline.ledger.pruning import BATCH
from pipeline.ledger.pruning import prune as forget
from pipeline.ledger.sql import SqlLedger

LEAST_DAYS = 1.0
"""Whether bars were judged already is asked of yesterday's decisions too."""
BREATH_S = 0.05
"""Between two batches: whoever trades comes first."""


def prune(
    days: Annotated[
        float | None,
        typer.Option(help="Keep so many days instead of ledger.keep_without_signal_days.", min=1),
    ] = None,
) -> None:
    """Forget decisions without a signal that are older than `ledger.keep_without_signal_days`. Run it once a day.

    While everything runs, in small batches. On PostgreSQL as the ledger's owner: the role that workers connect with may
    take nothing away.
    """
    settings = load()
    keep = settings.ledger.keep_without_signal_days if days is None else days
    if not keep:
        raise ConfigError(
            "it says 0: decisions are kept for ever.",
            where="ledger.keep_without_signal_days",
            remedy="Set how many days they are kept, or say --days.",
        )
    before, gone = datetime.now(UTC) - timedelta(days=max(keep, LEAST_DAYS)), 0
    with closing(SqlLedger(settings.ledger_url, busy_timeout_s=settings.ledger.busy_timeout_s)) as ledger:
        ledger.check_version()
        while (many := forget(ledger, before)) == BATCH:
            gone += many
            time.sleep(BREATH_S)
    console().print(
        f"{gone + many} decisions without a signal from before {before:%Y-%m-%d %H:%M} UTC forgotten"
    )
