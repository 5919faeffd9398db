"""Levels begin and end; each is told once, with its consequences in the same breath."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

from pipeline.domain.levels import Alert, AlertKind, LevelCode, Severity
from pipeline.domain.liveness import Pulse
from pipeline.watch.alerting import TRIES, Desk, Rules, due
from pipeline.watch.checks import climb
from pipeline.watch.keeping import LevelKeeper
from pipeline.watch.look import Away, Look
from tests.support.waiting import eventually
from tests.unit.watch.looks import (
    ACCOUNT,
    BTC,
    ETH,
    LIMITS,
    NOW,
    a_book,
    a_broker,
    a_look,
    ago,
    changed,
    seconds,
)

C = LevelCode
RULES = Rules(Severity.WARNING, timedelta(hours=1))
DEAD_BEAT: dict[str, tuple[Pulse, ...]] = {"pulses": changed(1, beat_at=ago(30))}
SILENT = a_book(last_finished={BTC: ago(200), ETH: ago(200)})


@dataclass
class Rounds:
    """A watchdog's memory, with looks five seconds apart."""

    keeper: LevelKeeper = field(default_factory=lambda: LevelKeeper(ACCOUNT, seconds(10)))
    at_s: float = 0

    def look(self, look: Look, after_s: float = 5) -> list[Alert]:
        """What is told after it."""
        self.at_s += after_s
        now = NOW + seconds(self.at_s)
        changes = self.keeper.note(climb(look, LIMITS), now)
        return list(due(self.keeper, changes.cleared, RULES, now))

    @property
    def standing(self) -> list[LevelCode]:
        return [level.code for level in self.keeper.standing]


def kinds(alerts: list[Alert]) -> list[tuple[AlertKind, LevelCode]]:
    return [(alert.kind, alert.code) for alert in alerts]


def test_a_level_keeps_its_beginning_while_it_stands() -> None:
    """ "Since" is what tells a hiccup from a lost night."""
    rounds = Rounds()
    for _ in range(20):
        rounds.look(a_look(**DEAD_BEAT))
    (level,) = rounds.keeper.standing
    assert level.since == NOW + seconds(5)
    assert level.seen_at == NOW + seconds(100)


def test_a_trouble_is_told_once_and_its_end_too() -> None:
    """An alarm that repeats itself is switched off; one that never ends is not believed."""
    rounds = Rounds()
    told = [rounds.look(a_look(**DEAD_BEAT)) for _ in range(10)]
    assert kinds(told[0]) == [(AlertKind.RAISED, C.BEAT_GONE)]
    assert not any(told[1:])
    assert rounds.look(a_look()) == []
    (over,) = rounds.look(a_look())
    assert (over.kind, over.code) == (AlertKind.CLEARED, C.BEAT_GONE)
    assert over.since == NOW + seconds(5)
    assert rounds.standing == []


def test_what_comes_and_goes_is_one_level() -> None:
    """Flapping must not wake somebody each time."""
    rounds = Rounds()
    told = [rounds.look(a_look(**(DEAD_BEAT if number % 2 else {}))) for number in range(20)]
    assert sum(len(alerts) for alerts in told) == 1


def test_a_long_one_is_told_again_after_an_hour() -> None:
    """Whoever came to work meanwhile should know."""
    rounds = Rounds()
    rounds.look(a_look(**DEAD_BEAT))
    told = rounds.look(a_look(**DEAD_BEAT), after_s=3600)
    assert kinds(told) == [(AlertKind.REMINDED, C.BEAT_GONE)]


def test_consequences_stand_but_are_told_with_their_cause_only() -> None:
    """One dead beat is one message, not six; and the loudest cause stands on top."""
    rounds = Rounds()
    (told,) = rounds.look(a_look(**DEAD_BEAT, book=SILENT))
    assert (told.code, told.also) == (C.BEAT_GONE, (C.NO_DECISION,))
    assert rounds.standing == [C.BEAT_GONE, C.NO_DECISION]
    assert rounds.keeper.standing[1].cause is C.BEAT_GONE


def test_a_consequence_that_outlives_its_cause_is_told_then() -> None:
    """Beat is back and the symbols are silent all the same: that is another trouble."""
    rounds = Rounds()
    rounds.look(a_look(**DEAD_BEAT, book=SILENT))
    told = [alert for _ in range(3) for alert in kinds(rounds.look(a_look(book=SILENT)))]
    assert told == [(AlertKind.CLEARED, C.BEAT_GONE), (AlertKind.RAISED, C.NO_DECISION)]


def test_what_cannot_be_checked_neither_rises_nor_falls() -> None:
    """The ledger is away: that a kill switch was on an hour ago is not over because nobody can read it."""
    rounds = Rounds()
    halted = a_look(book=a_book(equity=None))
    rounds.look(halted)
    for _ in range(10):
        rounds.look(a_look(book=Away("the disk is full")))
    assert C.EQUITY_STALE in rounds.standing
    assert C.LEDGER_DOWN in rounds.standing


def test_one_lost_answer_of_redis_is_no_alarm() -> None:
    """A single slow answer happens; two in a row are a trouble."""
    rounds = Rounds()
    away = a_look(broker=Away("no answer"))
    assert rounds.look(away) == []
    assert rounds.look(a_look()) == []
    rounds.look(away)
    assert kinds(rounds.look(away)) == [(AlertKind.RAISED, C.BROKER_DOWN)]


def test_a_notice_is_kept_and_not_told() -> None:
    """No append-only file is worth knowing, not worth waking somebody."""
    rounds = Rounds()
    assert rounds.look(a_look(broker=a_broker(persistent=False))) == []
    assert rounds.standing == [C.BROKER_FORGETFUL]


def test_the_next_watchdog_remembers_since_when_and_whom_it_told() -> None:
    """Its own restart must neither repeat an alarm nor make an old trouble young."""
    before = Rounds()
    before.look(a_look(**DEAD_BEAT))
    after = Rounds(at_s=60)
    after.keeper.remember(before.keeper.standing)
    assert after.look(a_look(**DEAD_BEAT)) == []
    assert after.keeper.standing[0].since == NOW + seconds(5)


# -------------------------------------------------------------------------------------------------- the desk


@dataclass
class FlakyService:
    """Fails so many times, then takes everything."""

    fails: int = 0
    tries: int = 0
    sent: list[Alert] = field(default_factory=list)
    name: str = "flaky"

    def send(self, alert: Alert) -> None:
        self.tries += 1
        if self.tries <= self.fails:
            raise ConnectionError("no route")
        self.sent.append(alert)


def an_alert() -> Alert:
    (alert,) = Rounds().look(a_look(**DEAD_BEAT))
    return alert


def test_an_alert_is_tried_again_until_it_is_out() -> None:
    """The network is often down for the very reason of the alarm."""
    service = FlakyService(fails=3)
    desk = Desk([service], again_after_s=0.01)
    desk.send(an_alert())
    eventually(lambda: service.sent, 10, "the alert to get out")
    assert (service.tries, desk.lost) == (4, 0)
    desk.close()


def test_an_alert_that_does_not_get_out_is_counted_with_its_reason() -> None:
    """Nobody is told, and at least that can be seen."""
    service = FlakyService(fails=TRIES)
    desk = Desk([service], again_after_s=0.01)
    desk.send(an_alert())
    eventually(lambda: desk.lost, 10, "it to be given up")
    assert "no route" in desk.problem
    desk.close()


@dataclass
class HangingService:
    release: threading.Event = field(default_factory=threading.Event)
    name: str = "hanging"

    def send(self, alert: Alert) -> None:
        self.release.wait(60)


def test_a_service_that_hangs_does_not_stop_the_watchdog() -> None:
    """It looks on; `send` returns at once."""
    service = HangingService()
    desk = Desk([service])
    sender = threading.Thread(target=desk.send, args=(an_alert(),))
    sender.start()
    sender.join(10)
    assert not sender.is_alive()
    service.release.set()
    desk.close()
