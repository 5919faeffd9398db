"""`throughline migrate`: the ledger made, or brought to this version, where no `up` does it."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from config.home import ensure_home
from config.loading import load
from console.output import console
from pipeline.ledger.copies import refuse_in_use
from pipeline.ledger.rights import grant
from pipeline.ledger.schema import HEAD, is_older
from pipeline.ledger.sql import SqlLedger


def migrate(
    *,
    grant_to: Annotated[
        str,
        typer.Option(help="PostgreSQL: the role that processes connect with gets its rights, and no others."),
    ] = "",
    reader: Annotated[str, typer.Option(help="PostgreSQL: a role that may read.")] = "",
    anyway: Annotated[bool, typer.Option("--anyway", help="Also while processes work with it.")] = False,
) -> None:
    """Create the ledger, or bring it to this version. `up` does it by itself; single roles on several hosts do not."""
    settings = load()
    ensure_home(settings.home)
    with closing(SqlLedger(settings.ledger_url, busy_timeout_s=settings.ledger.busy_timeout_s)) as ledger:
        if not anyway and is_older(ledger.engine):
            refuse_in_use(ledger.engine, "migrating")
        ledger.migrate()
        if grant_to:
            grant(ledger.engine, grant_to, reader)
    console().print(f"the ledger is at revision {HEAD}")
