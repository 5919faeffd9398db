"""Opening a decision and publishing its first message: what beat, the command line and Python code all call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from kombu.exceptions import KombuError, OperationalError

from pipeline.domain.decisions import Decision, Origin, Stage
from pipeline.domain.errors import ExchangeUnavailable, LedgerUnavailable, UnknownSymbol
from pipeline.domain.outcomes import EndReason
from pipeline.stages.opening import Opening, PassRequest
from tasks.publishing import publish, publish_all
from tasks.services import services

LONGEST_SYMBOL = 64

Failures = list[tuple[PassRequest, Exception]]


def enqueue(symbol: str, *, origin: Origin = Origin.PYTHON, dry_run: bool = False) -> Decision:
    """One pass over `symbol` now, in any usual spelling; the decision as it stands after its enqueueing.

    The decision may have ended already, as an OVERLAP. Raises: LedgerUnavailable, OperationalError (Redis away).
    """
    here = services()
    request = PassRequest.manual(here.canonical(symbol), here.clock.now(), origin, dry_run=dry_run)
    return enqueue_pass(request)


def enqueue_as_called(symbol: object, at: datetime, task_id: str) -> Decision:
    """One pass for a bare call of the fetch task, however often it is delivered. When it was published long ago, the
    message that it leads to has expired, and the decision ends as any that nobody has started.

    Nobody waits for an exception there, so a symbol that the exchange does not know gets its decision too, which ends
    by naming it.
    """
    here = services()
    name = str(symbol)[:LONGEST_SYMBOL]
    with suppress(UnknownSymbol, ExchangeUnavailable):
        name = here.canonical(name)
    opened = here.open(PassRequest.called(name, at, task_id))
    if opened.how is Opening.OPENED:
        _publish(opened.decision)
    elif opened.decision.is_open:  # whoever has opened it may have been killed before it was published
        publish(Stage.FETCH, opened.decision)
    return opened.decision


def enqueue_pass(request: PassRequest, **publish_options: Any) -> Decision:
    """Open the decision of a request, and publish its fetch unless it was known or skipped."""
    opened = services().open(request)
    if opened.how is Opening.OPENED:
        _publish(opened.decision, **publish_options)
    return opened.decision


def enqueue_passes(requests: Sequence[PassRequest], **publish_options: Any) -> Failures:
    """The same for many that are wanted at one instant: opened in one transaction, published in one packet.

    What goes wrong for all of them is tried again one by one. Returns those that failed, each with its error.
    """
    try:
        opened = services().open_all(requests)
    except LedgerUnavailable:
        return _failures(requests, lambda each: enqueue_pass(each, **publish_options))
    fresh = {
        request: each.decision
        for request, each in zip(requests, opened, strict=True)
        if each.how is Opening.OPENED
    }
    try:
        publish_all(Stage.FETCH, [*fresh.values()], **publish_options)
    except (
        KombuError,
        OperationalError,
        RuntimeError,
    ):  # whether any was sent, nobody knows: twice does no harm
        return _failures(fresh, lambda each: _publish(fresh[each], **publish_options))
    return []


def _failures(requests: Iterable[PassRequest], work: Callable[[PassRequest], object]) -> Failures:
    found: Failures = []
    for request in requests:
        try:
            work(request)
        except Exception as error:  # noqa: BLE001 - one symbol must not silence the others
            found.append((request, error))
    return found


def _publish(decision: Decision, **publish_options: Any) -> None:
    """A decision whose message cannot be published ends with that reason, and the error names it."""
    try:
        publish(Stage.FETCH, decision, **publish_options)
    except OperationalError as error:
        services().runner.fail(decision.decision_id, EndReason.PUBLISH_FAILED, f"Redis: {error}")
        ended = f"decision {decision.decision_id} ended as {EndReason.PUBLISH_FAILED}: {error}"
        raise OperationalError(ended) from error
