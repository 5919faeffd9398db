"""The watchdog: looks, climbs down the ladder, keeps the levels, tells somebody. Again and again.

It depends neither on beat nor on a worker, and goes on when Redis or the ledger is away: what it knows is in its
memory, and is written down when there is a place again. Of several watchdogs one leads, and the others stand by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.domain.errors import LedgerUnavailable, StoreUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.domain.events import Level as Loudness
from pipeline.domain.levels import Alert, Level, Severity
from pipeline.domain.ports import Ledger
from pipeline.watch.alerting import Desk, Rules, due
from pipeline.watch.checks import climb
from pipeline.watch.keeping import Changes, LevelKeeper
from pipeline.watch.leading import Turn
from pipeline.watch.look import Away, Look
from pipeline.watch.looking import Looker
from pipeline.watch.pulses import PulseStore
from pipeline.watch.telling import Teller


@dataclass(slots=True)
class Watchdog:
    """One account's. `round` is one look with all that follows, when it is this watchdog's turn to tell."""

    turn: Turn
    looker: Looker
    keeper: LevelKeeper
    desk: Desk
    rules: Rules
    teller: Teller
    ledger: Ledger
    pulses: PulseStore
    events: Events
    _unwritten: list[Alert] = field(default_factory=list)
    _remembers: bool = False

    def round(self) -> Look | None:
        """None while another watchdog tells. Raises nothing but what is a mistake of ours."""
        look = self._look_in_turn()
        if look is None:
            self._stand_by()
        else:
            self._act(look)
        return look

    def _look_in_turn(self) -> Look | None:
        """Where ways are cut a look takes long, and another may have taken over meanwhile: asked before and after."""
        if not self.turn.look():
            return None
        self._remember()
        look = self._look()
        return look if self.turn.look() else None

    def end(self) -> None:
        """Its orderly end: another takes over at once, and what is still to be told is told."""
        self.turn.end()
        self.desk.close()

    def _stand_by(self) -> None:
        """Whatever it knew, the one that tells knows better; when its turn comes, the ledger has what stands."""
        self.keeper.forget()
        self.teller.pause()
        self._remembers = False

    def _act(self, look: Look) -> None:
        changes = self.keeper.note(climb(look, self.looker.limits), look.at)
        self._tell(changes)
        alerts = list(due(self.keeper, changes.cleared, self.rules, look.at))
        for alert in alerts:
            self.desk.send(alert)
        self._write(alerts)
        self._forget_replaced(look)
        self.teller.tell(look)

    def _look(self) -> Look:
        look = self.looker.look(asked_by_watch=True)
        return replace(look, alerts_lost=self.desk.lost, alerts_problem=self.desk.problem)

    def _remember(self) -> None:
        """What stood when the watchdog before us ended."""
        if self._remembers:
            return
        try:
            with self.ledger.read() as unit:
                self.keeper.remember(unit.levels.standing(self.keeper.account))
        except LedgerUnavailable:
            return
        self._remembers = True

    def _tell(self, changes: Changes) -> None:
        for level in changes.raised:
            self._emit(level, raised=True)
        for level in changes.cleared:
            self._emit(level, raised=False)

    def _emit(self, level: Level, *, raised: bool) -> None:
        loud = raised and level.severity is not Severity.NOTICE
        self.events.emit(
            EventName.LEVEL,
            level=None if loud else Loudness.INFO,
            code=level.code,
            about=level.subject,
            severity=level.severity,
            raised=raised,
            since=level.since,
            detail=level.detail,
            cause=level.cause or "",
        )

    def _write(self, alerts: Sequence[Alert]) -> None:
        """What cannot be written now is written later."""
        self._unwritten += alerts
        try:
            with self.ledger.begin() as unit:
                unit.levels.replace(self.keeper.account, self.keeper.standing)
                for alert in self._unwritten:
                    unit.levels.note(alert)
        except LedgerUnavailable:
            return
        self._unwritten.clear()

    def _forget_replaced(self, look: Look) -> None:
        """Pulses of processes whose place others took, or whose end was orderly a while ago."""
        if isinstance(look.pulses, Away):
            return
        after = self.looker.limits.stopping_for
        places = {pulse.place for pulse in look.pulses if pulse.lives(look.at, after)}
        gone = [
            pulse.process
            for pulse in look.pulses
            if look.at - pulse.beat_at > after and (pulse.place in places or pulse.parent)
        ]
        try:
            self.pulses.forget(gone)
        except StoreUnavailable:
            return
