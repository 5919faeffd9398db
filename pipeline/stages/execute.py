"""Stage four: place the permitted order, at most once, and learn what became of it.

Requires: validate's output, a permit in the ledger; evaluate's, the intent it is for.
Produces: an order with its steps, its fills, a position with its stop and target on the exchange; or an order whose
fate the resolver will learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pipeline.domain.decisions import Decision, End, Stage, StageEnd, StageRecord, Unresolved
from pipeline.domain.intents import Intent
from pipeline.domain.outcomes import EndReason, Outcome, outcome_of
from pipeline.domain.permits import Permit
from pipeline.domain.ports import Ledger, Unit
from pipeline.execution.aftermath import Answered
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.job import Found, find
from pipeline.execution.outcome import Ending, conclude
from pipeline.execution.router import OrderRouter
from pipeline.stages.bursts import Burst
from pipeline.stages.running import Behind, Conclusion
from pipeline.stages.validate import read_intent


@dataclass(frozen=True, slots=True)
class Execute:
    """The execute stage, called with a decision."""

    ledger: Ledger
    router: OrderRouter
    burst: Burst
    protect: Callable[[str], None]
    after_fill: Callable[[], None]
    look_after: Callable[[], None]

    def __call__(self, decision: Decision, before: StageRecord | None) -> Conclusion | Behind:
        reached(CrashPoint.EXECUTE_BEGAN, decision.symbol)
        with self.burst.entry() as follows:
            begun = self._begin(decision)
            rest = partial(self._finish, decision, begun)
            waits = follows and isinstance(begun, Answered)
            left = Behind(partial(self.burst.leave, decision.symbol), rest) if waits else rest()
        self.look_after()  # behind many orders the upkeep's own messages expire before anybody reads them
        return left

    def _begin(self, decision: Decision) -> Ending | Answered:
        permit, intent, found = self._permitted(decision)
        if permit is None:
            return End(EndReason.NO_PERMIT, "the ledger holds no permit of this decision; nothing was sent")
        return self.router.begin(decision, intent, permit, found)

    def _finish(self, decision: Decision, begun: Ending | Answered) -> Conclusion:
        """Book what has filled, and protect it: until then the market may take what it wants."""
        ending = self.router.finish(begun)
        filled = outcome_of_end(ending) is Outcome.EXECUTED
        if filled or isinstance(ending, Unresolved):
            self.protect(decision.symbol)
        if filled:
            self.after_fill()
        return partial(_as_it_stands, decision, ending)

    def _permitted(self, decision: Decision) -> tuple[Permit | None, Intent, Found]:
        with self.ledger.read() as unit:
            permit = unit.permits.of(decision.decision_id)
            intent = read_intent(unit.stages.get(decision.decision_id, Stage.EVALUATE))
            return permit, intent, find(unit, decision, intent)


def _as_it_stands(decision: Decision, ending: Ending, unit: Unit) -> Ending:
    """Who sent nothing had seen no order. Meanwhile another delivery may have sent one: it locks the decision first."""
    orders = () if isinstance(ending, Unresolved) or ending.output else unit.orders.of(decision.decision_id)
    return conclude(orders) if orders else ending


def outcome_of_end(finish: StageEnd) -> Outcome | None:
    return outcome_of(finish.reason) if isinstance(finish, End) else None
