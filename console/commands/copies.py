"""`throughline backup` and `throughline restore`: a copy of the ledger, and the way back."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from config.home import ensure_home
from config.loading import load
from console.output import console
from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.switches import TradingState
from pipeline.ledger import copies
from pipeline.ledger.engines import parse_url
from pipeline.ledger.sql import SqlLedger

WHY = "an older ledger was restored: look before you trade"


def backup(
    target: Annotated[Path, typer.Argument(help="File to write; none is overwritten.")],
) -> None:
    """Write a copy of the ledger, while everything runs. On PostgreSQL with pg_dump, in its custom format."""
    settings = load()
    copies.backup(parse_url(settings.ledger_url), target)
    console().print(f"the ledger is in {target} ({target.stat().st_size // 1024} KB)", soft_wrap=True)


def restore(
    source: Annotated[Path, typer.Argument(help="What `throughline backup FILE` wrote.")],
) -> None:
    """Put a copy in the ledger's place, with everything stopped. The account is halted until a person arms it."""
    settings, now = load(), datetime.now(UTC)
    ensure_home(settings.home)
    url = parse_url(settings.ledger_url)
    with closing(SqlLedger(settings.ledger_url, busy_timeout_s=settings.ledger.busy_timeout_s)) as ledger:
        if url.get_backend_name() != "sqlite" or Path(str(url.database)).exists():
            with suppress(LedgerUnavailable):  # broken as it is: nobody works with it
                copies.refuse_in_use(ledger.engine, "restoring")
        ledger.close()
        kept = copies.restore(url, source, now)
        ledger.migrate()
        with ledger.begin(durable=True) as unit:
            halted = TradingState.HALTED
            unit.switches.set_trading_state(settings.account, halted, by="restore", reason=WHY, at=now)
    if kept is not None:
        console().print(f"what was there is kept as {kept}", soft_wrap=True)
    console().print(
        f"restored; {settings.account} is HALTED: `throughline reconcile`, look, "
        "then `throughline trading active --reason ...`",
        soft_wrap=True,
    )
