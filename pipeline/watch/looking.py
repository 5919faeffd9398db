"""Taking a look: each part in a thread of its own, so that one that hangs hides nothing but itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from pipeline.domain.errors import ExchangeRefused, StoreUnavailable, Transient
from pipeline.domain.liveness import Pulse
from pipeline.domain.ports import Clock
from pipeline.watch.book import AnyLedger, look_at_ledger, still_waiting
from pipeline.watch.look import Away, BookView, BrokerView, ExchangeView, FeedView, Limits, Look, Waiting
from pipeline.watch.pulses import PulseStore

Seen = TypeVar("Seen")

PATIENCE_S = 6.0
"""A part that has not answered by then is away; its question stays open, and no second one is asked meanwhile."""

NOBODY = object()
"""The answer where there never was a feed: None stands for no answer."""


class Probe(Generic[Seen]):
    """One question, asked again and again by a thread that may hang."""

    def __init__(self, name: str, ask: Callable[[], Seen | Away]) -> None:
        self._name, self._ask = name, ask
        self._thread: threading.Thread | None = None
        self._seen: Seen | Away | None = None

    def begin(self) -> None:
        """Ask, unless the last question is still open."""
        if self._thread is None or not self._thread.is_alive():
            self._seen = None
            self._thread = threading.Thread(target=self._run, name=f"look-{self._name}", daemon=True)
            self._thread.start()

    def end(self, patience_s: float) -> Seen | Away:
        """What was seen; `Away` when no answer comes in time."""
        if self._thread is not None:
            self._thread.join(patience_s)
        seen = self._seen
        return Away(f"the {self._name} did not answer within {patience_s:g} s") if seen is None else seen

    def _run(self) -> None:
        try:
            self._seen = self._ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, the part could not be looked at
            self._seen = Away(f"the {self._name} cannot be looked at: {error!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to look. `ask_clock` gives how far the exchange's clock is ahead, None when it shall not be asked;
    `ask_account` reads the account there.
    """

    account: str
    clock: Clock
    ledger: AnyLedger
    pulses: PulseStore
    broker: Callable[[], BrokerView | Away]
    feed: Callable[[], FeedView | Away | None] | None = None
    ask_clock: Callable[[], timedelta] | None = None
    ask_account: Callable[[], object] | None = None


@dataclass(slots=True)
class Looker:
    """Looks at everything, the ledger before Redis: what the ledger says is waiting must be seen there."""

    places: Places
    limits: Limits
    _probes: dict[str, Probe[object]] = field(default_factory=dict)

    def look(self, *, asked_by_watch: bool = False) -> Look:
        """Raises nothing."""
        places = self.places
        exchange = self._begun("exchange", self._ask_exchange) if places.ask_clock else None
        book = self._part("ledger", self._ask_ledger, BookView)
        broker = self._part("broker", places.broker, BrokerView)
        pulses = self._part("pulses", self._ask_pulses, tuple)
        return Look(
            at=places.clock.now(),
            account=places.account,
            broker=broker,
            pulses=pulses,
            book=book,
            exchange=_of(exchange.end(PATIENCE_S), ExchangeView) if exchange else None,
            feed=self._feed(),
            lost=self._lost(book, broker),
            asked_by_watch=asked_by_watch,
        )

    def _part(self, name: str, ask: Callable[[], object], kind: type[Seen]) -> Seen | Away:
        return _of(self._begun(name, ask).end(PATIENCE_S), kind)

    def _begun(self, name: str, ask: Callable[[], object]) -> Probe[object]:
        probe = self._probes.setdefault(name, Probe(name, ask))
        probe.begin()
        return probe

    def _ask_ledger(self) -> BookView | Away:
        return look_at_ledger(self.places.ledger, self.places.account, self.places.clock.now(), self.limits)

    def _feed(self) -> FeedView | Away | None:
        ask = self.places.feed
        if ask is None:
            return None
        seen = self._begun("feed", lambda: ask() or NOBODY).end(PATIENCE_S)
        return None if seen is NOBODY else _of(seen, FeedView)

    def _ask_pulses(self) -> tuple[Pulse, ...] | Away:
        try:
            return tuple(self.places.pulses.read())
        except StoreUnavailable as error:
            return Away(str(error))

    def _ask_exchange(self) -> ExchangeView | Away:
        now, ask = self.places.clock.now(), self.places.ask_clock
        if ask is None:
            return Away("nobody asks the exchange")
        try:
            ahead = ask()
        except (Transient, ExchangeRefused) as error:
            return ExchangeView(asked_at=now, problem=str(error))
        return ExchangeView(asked_at=now, skew_s=ahead.total_seconds(), account_problem=self._ask_account())

    def _ask_account(self) -> str | None:
        """Why the account cannot be read; empty when it can, None when nobody asks."""
        if self.places.ask_account is None:
            return None
        try:
            self.places.ask_account()
        except (Transient, ExchangeRefused) as error:
            return str(error)
        return ""

    def _lost(self, book: BookView | Away, broker: BrokerView | Away) -> Sequence[Waiting]:
        if isinstance(book, Away) or isinstance(broker, Away):
            return ()
        gone = [each for each in book.waiting if broker.has(each.task_id, each.next_stage) is False]
        return still_waiting(self.places.ledger, self.places.account, gone)


def _of(seen: object, kind: type[Seen]) -> Seen | Away:
    return seen if isinstance(seen, (kind, Away)) else Away("no answer")
