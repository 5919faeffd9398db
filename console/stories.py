"""Finding a decision by any id, and reading its whole story."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.domain.errors import ThroughlineError
from pipeline.domain.ids import DecisionId
from pipeline.domain.ports import Ledger
from pipeline.trace.reader import read_trace, trace_record
from pipeline.trace.records import Record

NAMED = 3
"""Of several decisions that answer to one text."""


class NotInLedger(ThroughlineError):
    """No decision, or more than one, has this id."""


def story(ledger: Ledger, text: str) -> Record:
    """The trace, as `throughline trace ID --json` prints it. Raises: NotInLedger, LedgerUnavailable."""
    with ledger.read() as unit:
        trace = read_trace(unit, text)
        several = [] if trace else unit.find_decisions(text, NAMED + 1)
    if trace is None:
        raise NotInLedger(_ambiguous(text, several) if several else _unheard_of(text))
    return trace_record(trace)


def _ambiguous(text: str, several: Sequence[DecisionId]) -> str:
    more = ", and others" if len(several) > NAMED else ""
    return f"several decisions answer to '{text}': {', '.join(several[:NAMED])}{more}; write more of one"


def _unheard_of(text: str) -> str:
    return (
        f"the ledger has no decision, order, permit or position '{text}'; "
        "`throughline decisions` lists the newest decisions"
    )
