"""Opening a decision and publishing its first message: what beat, the command line and Python code all call."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kombu.exceptions import OperationalError

from pipeline.domain.decisions import Decision, Origin, Stage
from pipeline.domain.errors import ExchangeUnavailable, UnknownSymbol
from pipeline.domain.outcomes import EndReason
from pipeline.stages.opening import Opening, PassRequest
from tasks.publishing import publish
from tasks.services import services

LONGEST_SYMBOL = 64


def enqueue(symbol: str, *, origin: Origin = Origin.PYTHON, dry_run: bool = False) -> Decision:
    """One pass over `symbol` now, in any usual spelling; the decision as it stands after its enqueueing.

    The decision may have ended already, as an OVERLAP. Raises: LedgerUnavailable, OperationalError (Redis away).
    """
    here = services()
    request = PassRequest.manual(here.canonical(symbol), here.clock.now(), origin, dry_run=dry_run)
    return enqueue_pass(request)


def enqueue_as_called(symbol: object) -> Decision:
    """One pass for a bare call of the fetch task. Nobody waits for an exception there, so a symbol that the exchange
    does not know gets its decision too, which ends by naming it.
    """
    here = services()
    name = str(symbol)[:LONGEST_SYMBOL]
    with suppress(UnknownSymbol, ExchangeUnavailable):
        name = here.canonical(name)
    return enqueue_pass(PassRequest.manual(name, here.clock.now(), Origin.CALL))


def enqueue_pass(request: PassRequest, **publish_options: Any) -> Decision:
    """Open the decision of a request, and publish its fetch unless it was known or skipped."""
    opened = services().open(request)
    if opened.how is Opening.OPENED:
        try:
            publish(Stage.FETCH, opened.decision, **publish_options)
        except OperationalError as error:
            services().runner.fail(opened.decision.decision_id, EndReason.PUBLISH_FAILED, f"Redis: {error}")
            raise
    return opened.decision
