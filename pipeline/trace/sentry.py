"""Sentry: one trace for each decision over all processes, errors tagged. Off, and nearly free, without a DSN.

The trace's id is a function of the decision's id: whoever has one can compute the other, and no header has to
survive the broker for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from config.settings import Settings
from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName, Level
from pipeline.domain.ids import digest
from pipeline.domain.outcomes import Outcome
from pipeline.domain.timeframes import iso
from pipeline.trace import context
from pipeline.trace.lines import simplest
from pipeline.trace.redaction import SECRETS

if TYPE_CHECKING:
    from sentry_sdk.integrations import Integration

NOT_WANTED = ("db.redis", "cache.")
"""Spans of these kinds are dropped: a decision makes dozens, and they say nothing."""

_OFF: AbstractContextManager[None] = nullcontext()

_sdk: ModuleType | None = None


def start(settings: Settings, component: str, integrations: Sequence[Integration] = ()) -> bool:
    """Begin to report, if a DSN is set; whether it is.

    `integrations` are those of the way in (Celery's, say): the pipeline knows none.
    Raises: ConfigError when the DSN is not one.
    """
    global _sdk  # noqa: PLW0603 - the SDK itself is one for each process
    dsn = settings.sentry.dsn.get_secret_value()
    if not dsn:
        return False
    import sentry_sdk.crons  # noqa: PLC0415 - a tenth of a second and 10 MB that nobody pays who does not use it
    from sentry_sdk.utils import BadDsn  # noqa: PLC0415

    SECRETS.register([dsn])
    try:
        sentry_sdk.init(
            dsn=dsn,
            environment=settings.sentry.environment or settings.mode.value,
            traces_sample_rate=settings.sentry.traces_sample_rate,
            integrations=list(integrations),
            auto_enabling_integrations=False,
            trace_propagation_targets=[],  # the exchange gets no headers of ours
            include_local_variables=False,  # keys and permits live in them
            before_send=_clean,
            before_send_transaction=_clean_transaction,
        )
    except BadDsn as error:
        raise ConfigError(
            f"this is not a DSN: {error}.", where="sentry.dsn (THROUGHLINE_SENTRY_DSN)"
        ) from None
    sentry_sdk.set_tag("component", component)
    _sdk = sentry_sdk
    return True


def stop() -> None:
    """Send what is waiting, for at most two seconds, and report no more."""
    global _sdk  # noqa: PLW0603 - see start
    if _sdk is None:
        return
    _sdk.flush(timeout=2)
    _sdk.get_client().close(timeout=0)
    _sdk.get_global_scope().set_client(None)
    _sdk = None


def trace_id(decision_id: str) -> str:
    """The 32 hex characters of a decision's trace, also in W3C's `traceparent`."""
    return digest("trace", decision_id)[:32]


def trace_headers(decision_id: str) -> dict[str, str]:
    """What makes a process join the decision's trace; the span it names is the decision itself.

    Sentry's own header, and W3C's (https://www.w3.org/TR/trace-context): whoever runs OpenTelemetry joins by that.
    """
    trace, span = trace_id(decision_id), digest("span", decision_id)[:16]
    return {"sentry-trace": f"{trace}-{span}", "traceparent": f"00-{trace}-{span}-01"}


def check_in(monitor: str, *, well: bool) -> None:
    """Tell a cron monitor of Sentry's that beat is alive, and whether its last minute went well. Never raises.

    The monitor is made by the first check-in; it calls somebody when two minutes pass without one.
    """
    if _sdk is None or not monitor:
        return
    with _sdk.utils.capture_internal_exceptions():
        _sdk.crons.capture_checkin(
            monitor_slug=monitor,
            status="ok" if well else "error",
            monitor_config={
                "schedule": {"type": "interval", "value": 1, "unit": "minute"},
                "checkin_margin": 1,
                "failure_issue_threshold": 1,
                "recovery_threshold": 1,
            },
        )


def decision_scope(
    decision_id: str, *, symbol: str = "", stage: str = "", strategy: str = ""
) -> AbstractContextManager[None]:
    """Inside the block everything that is reported belongs to the decision's trace and carries these tags."""
    if _sdk is None or not decision_id:
        return _OFF
    tags = {"decision_id": decision_id, "symbol": symbol, "stage": stage, "strategy": strategy}
    return _scope(_sdk, tags)


@contextmanager
def _scope(sdk: ModuleType, tags: Mapping[str, str]) -> Iterator[None]:
    with sdk.isolation_scope() as scope:
        for name, value in tags.items():
            if value:
                scope.set_tag(name, value)
        transaction = scope.continue_trace(
            trace_headers(tags["decision_id"]), op="stage", name=tags["stage"] or "decision"
        )
        if not tags["stage"] or sdk.get_current_span() is not None:
            yield
            return
        with sdk.start_transaction(transaction):
            yield


def report(name: EventName, level: Level, fields: Mapping[str, object]) -> None:
    """Send an event that is an error, or that ends a decision as failed, with the exception being handled.

    Never raises.
    """
    if _sdk is None or not (level is Level.ERROR or fields.get("outcome") == Outcome.FAILED):
        return
    with _sdk.utils.capture_internal_exceptions():
        _send(_sdk, name, fields)


def _send(sdk: ModuleType, name: EventName, fields: Mapping[str, object]) -> None:
    with sdk.new_scope() as scope:
        scope.set_tag("event", name.value)
        for tag in ("decision_id", "symbol", "strategy", "reason"):
            value = fields.get(tag) or context.fields().get(tag)
            if value:
                scope.set_tag(tag, str(value))
        scope.set_context("event", {key: simplest(value) for key, value in fields.items()})
        error = sys.exc_info()[1]
        if error is not None:
            sdk.capture_exception(error)
            return
        scope.fingerprint = [name.value, str(fields.get("reason", ""))]
        sdk.capture_message(f"{name.value} {fields.get('reason', '')}".strip(), level="error")


def _clean(event: Any, hint: Any) -> Any:
    """No secret leaves the machine, wherever in an event it stands."""
    return json.loads(SECRETS.clean(json.dumps(event, default=_as_json).encode()))


def _as_json(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else str(value)


def _clean_transaction(event: Any, hint: Any) -> Any:
    spans = [span for span in event.get("spans", []) if not str(span.get("op", "")).startswith(NOT_WANTED)]
    return _clean({**event, "spans": spans}, hint)
