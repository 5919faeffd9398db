"""What keeps the chain honest besides its stages: sweeping, resolving, and all that the governor looks at."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.bootstrap import Pipeline
from pipeline.domain.decisions import Stage
from pipeline.domain.errors import ExchangeRefused, Transient, UnknownSymbol
from pipeline.domain.events import EventName
from pipeline.domain.reconciliation import Remedy
from pipeline.execution.crashpoints import CrashPoint, reached
from tasks.app import app
from tasks.publishing import publish
from tasks.services import services

BOOKING = frozenset({Remedy.BOOKED, Remedy.ADOPTED, Remedy.SETTLED})
"""What may have brought a position that nobody has protected yet."""


@app.task(name="tasks.sweep")
def sweep() -> dict[str, int]:
    """End or resume the decisions whose messages are gone."""
    here = services()
    return here.sweeper(lambda stage, decision, attempt: publish(stage, decision, attempt=attempt)).sweep()


@app.task(name="tasks.resolve")
def resolve() -> int:
    """Ask the exchange about every order whose fate is not settled; report those that are settled now."""
    here = services()
    settled = here.resolver.resolve(here.account, booked=here.looking_after.protect)
    reached(CrashPoint.SETTLED_UNPUBLISHED)
    for decision in here.open_decisions(order.decision_id for order in settled):
        publish(Stage.EXECUTE, decision, attempt=2)  # never the first: that one was handed on by validate
    if any(order.filled_qty for order in settled):
        refresh_equity()
    if settled:  # each of them was in doubt: what else is not as the ledger has it?
        reconcile()
    return len(settled)


@app.task(name="tasks.protect")
def protect() -> str:
    """See that every position has its stop and target on the exchange, and nothing else has."""
    return _told("protection", lambda here: ", ".join(here.looking_after.cycle()) or "all is in place")


@app.task(name="tasks.look_after")
def look_after() -> str:
    """The urgent part of `protect`, between two of them: it asks for no list of orders, which costs much."""

    def look(here: Pipeline) -> str:
        here.looking_after.catch_up()
        return "whatever had no stop was seen to"

    return _told("protection", look)


@app.task(name="tasks.refresh_equity")
def refresh_equity() -> str:
    """Ask the exchange for the account's equity. Without it the governor soon denies everything."""
    return _told("equity", lambda here: str(here.refresh_equity().equity))


@app.task(name="tasks.reconcile")
def reconcile() -> str:
    """Compare ledger and exchange, and put the ledger right. Without it the governor soon denies everything."""
    return _told("reconciliation", _reconcile)


def _reconcile(here: Pipeline) -> str:
    """Open orders once a minute only: their list costs the exchange's budget eight times as much as the positions."""
    thorough = here.clock.now().second < max(here.settings.chain.reconcile_every_s, 1.0)
    findings = here.safeguarding.reconcile(thorough=thorough)
    for symbol in sorted({each.symbol for each in findings if each.remedy in BOOKING}):
        here.looking_after.protect(symbol)  # who holds the fill may be frozen, or long dead
    return "; ".join(map(str, findings)) or "equal"


@app.task(name="tasks.guard")
def guard() -> str:
    """Cancel what a kill switch covers, look at the circuit breaker, and keep the dead-man switch from firing."""

    def look(here: Pipeline) -> str:
        cancelled = len(here.safeguarding.cancel_covered().taken)
        breaker = here.safeguarding.watch_breaker()
        here.dead_man.tend()  # last: an exchange that cannot be told must not keep the others from their work
        return f"{cancelled} cancelled, breaker {breaker.reason if breaker else 'closed'}"

    return _told("guard", look)


@app.task(name="tasks.check_universe")
def check_universe() -> str:
    """Make the universe anew, checked against the exchange."""
    return _told("universe", lambda here: here.universe_keeper.check().summary)


def _told(what: str, work: Callable[[Pipeline], str]) -> str:
    """The work's answer, or that it failed: upkeep comes again soon."""
    here = services()
    try:
        return work(here)
    except (Transient, ExchangeRefused, UnknownSymbol) as error:
        here.events.emit(EventName.UPKEEP_FAILED, what=what, account=here.account, problem=str(error))
        return f"unknown: {error}"
