"""What keeps the chain honest besides its stages: sweeping, resolving, refreshing the equity."""

from __future__ import annotations

from pipeline.domain.decisions import Stage
from pipeline.domain.errors import ExchangeRefused, Transient
from pipeline.domain.events import EventName
from tasks.app import app
from tasks.publishing import publish
from tasks.services import services


@app.task(name="tasks.sweep")
def sweep() -> dict[str, int]:
    """End or resume the decisions whose messages are gone."""
    here = services()
    return here.sweeper(lambda stage, decision, attempt: publish(stage, decision, attempt=attempt)).sweep()


@app.task(name="tasks.resolve")
def resolve() -> int:
    """Ask the exchange about every order whose fate is not settled; report those that are settled now."""
    here = services()
    settled = here.resolver.resolve(here.account)
    for decision in here.open_decisions(order.decision_id for order in settled):
        publish(Stage.EXECUTE, decision)
    return len(settled)


@app.task(name="tasks.refresh_equity")
def refresh_equity() -> str:
    """Ask the exchange for the account's equity. Without it the governor soon denies everything."""
    here = services()
    try:
        equity = here.refresh_equity()
    except (Transient, ExchangeRefused) as error:
        here.events.emit(EventName.UPKEEP_FAILED, what="equity", account=here.account, problem=str(error))
        return f"unknown: {error}"
    return str(equity.equity)
