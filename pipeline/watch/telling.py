"""What the watchdog says when all is well: the queues every half minute, and one line for each round of slots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.domain.ports import Ledger
from pipeline.domain.rounds import SlotSums
from pipeline.watch.look import Away, Look

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTED = timedelta(hours=1)


@dataclass(slots=True)
class Teller:
    """`cadence`: the length of a round, in which each symbol has one slot. `grace`: how long a round that is over may
    have open decisions before it is told all the same.
    """

    ledger: Ledger
    events: Events
    account: str
    cadence: timedelta
    grace: timedelta
    every: timedelta
    _told_at: datetime | None = None
    _round: datetime | None = None

    def pause(self) -> None:
        """Another watchdog tells meanwhile: the rounds until the next `tell` are told by that one."""
        self._round = None

    def tell(self, look: Look) -> None:
        """Raises nothing: when the ledger is away there is nothing to tell, and the watchdog says that."""
        try:
            if self._told_at is None or look.at - self._told_at >= self.every:
                self._told_at = look.at
                self._tell_queues(look)
            self._tell_rounds(look.at)
        except LedgerUnavailable:
            return

    def _tell_queues(self, look: Look) -> None:
        if isinstance(look.broker, Away) or isinstance(look.book, Away):
            return
        with self.ledger.read() as unit:
            received, ended = unit.rounds.received(self.account, look.at - COUNTED)
        self.events.emit(
            EventName.QUEUE_STATE,
            queues={name: view.depth for name, view in look.broker.queues.items()},
            oldest_s={
                name: round((look.at - view.oldest_at).total_seconds(), 1)
                for name, view in look.broker.queues.items()
                if view.oldest_at
            },
            held=len(look.broker.held),
            received=received,
            ended=ended,
            positions=look.book.open_positions,
            state=look.book.trading,
        )

    def _tell_rounds(self, now: datetime) -> None:
        """Each round once: when all of it has ended, or at the latest a while after."""
        current = EPOCH + (now - EPOCH) // self.cadence * self.cadence
        if self._round is None:
            self._round = current  # one that had begun before us would be told by halves
            return
        while self._round + self.cadence <= current:
            if not self._tell_round(self._round, now):
                return
            self._round += self.cadence

    def _tell_round(self, since: datetime, now: datetime) -> bool:
        until = since + self.cadence
        with self.ledger.read() as unit:
            sums = unit.rounds.slots(self.account, since, until)
        if sums.ended < sums.enqueued and now < until + self.grace:
            return False
        self._emit(since, until, sums)
        return True

    def _emit(self, since: datetime, until: datetime, sums: SlotSums) -> None:
        self.events.emit(
            EventName.SLOT_SUMMARY,
            since=since,
            until=until,
            received=sums.enqueued,
            ended=sums.ended,
            outcomes={outcome.value: many for outcome, many in sums.outcomes.items()},
            slowest_symbol=sums.slowest_symbol,
            slowest_ms=sums.slowest_ms,
            slowest_stage=sums.slowest_stage,
            slowest_stage_ms=sums.slowest_stage_ms,
        )
