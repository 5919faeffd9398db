"""Whether this host's clock can be trusted to judge a permit that another host has issued."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import End
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable
from pipeline.domain.intents import Intent
from pipeline.domain.permits import Permit
from pipeline.domain.ports import Clock


@dataclass(frozen=True, slots=True)
class OwnClock:
    """`exchange_now` tells the exchange's time, `limit_s` how far ours may be from it."""

    clock: Clock
    exchange_now: Callable[[], datetime]
    limit_s: float

    def problem(self, intent: Intent, permit: Permit) -> End | None:
        """Why nothing may be sent by this clock; None when it may. Reducing needs no exchange that tells its time: a
        permit that has not been issued yet by our clock is enough to refuse it.
        """
        now = self.clock.now()
        off_s = (now - permit.issued_at).total_seconds()
        if off_s < -self.limit_s:
            return self._off(off_s, "that of the host that issued the permit")
        if intent.reduce_only:
            return None
        try:
            off_s = (now - self.exchange_now()).total_seconds()
        except (ExchangeUnavailable, ExchangeRefused) as error:
            return End(
                CheckCode.CLOCK_SKEW, f"the exchange does not tell its time; nothing was sent: {error}"
            )
        return self._off(off_s, "the exchange's") if abs(off_s) > self.limit_s else None

    def _off(self, off_s: float, whose: str) -> End:
        told = f"the clock of {socket.gethostname()} is {off_s:+.1f} s from {whose}"
        return End(CheckCode.CLOCK_SKEW, f"{told}; the limit is {self.limit_s:g} s; nothing was sent")
