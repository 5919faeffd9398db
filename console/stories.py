"""Finding a decision by any id, and reading its whole story."""

from __future__ import annotations

from pipeline.domain.errors import ThroughlineError
from pipeline.domain.ports import Ledger
from pipeline.trace.reader import read_trace, trace_record
from pipeline.trace.records import Record


class NotInLedger(ThroughlineError):
    """No decision, or more than one, has this id."""


def story(ledger: Ledger, text: str) -> Record:
    """The trace, as `throughline trace ID --json` prints it. Raises: NotInLedger, LedgerUnavailable."""
    with ledger.read() as unit:
        trace = read_trace(unit, text)
    if trace is None:
        raise NotInLedger(
            f"the ledger has no decision, order, permit or position '{text}', or several that begin so; "
            "`throughline decisions` lists the newest"
        )
    return trace_record(trace)
