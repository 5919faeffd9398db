"""Questions that are signed by the exchange's clock. No order is sent here: see `CcxtExchange.submit`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from pipeline.domain.errors import ThroughlineError
from pipeline.exchange.clock import ExchangeClock
from pipeline.exchange.replies import Reply, Return
from pipeline.exchange.wire import Wire


@dataclass(frozen=True, slots=True)
class Asking:
    """Reads, cancellations, countdowns: whatever may be asked twice."""

    wire: Wire
    clock: ExchangeClock

    def ask(self, method: str, question: Mapping[str, object]) -> Return:
        """What is refused for its time, unseen, is asked once more by a clock measured anew: a cancellation must not
        wait for the next round because a busy machine measured the clock badly.
        """
        if method.startswith("fapiPublic"):
            return self.wire.request(method, question)
        returned = self._signed(method, question)
        if not is_out_of_time(returned):
            return returned
        self.clock.forget()
        return self._signed(method, question)

    def _signed(self, method: str, question: Mapping[str, object]) -> Return:
        """It needs the exchange's time. If that cannot be had, the answer will say what is wrong."""
        if not self.clock.is_measured:
            with suppress(ThroughlineError):
                self.clock.measure()
        return self.wire.request(method, question)


def is_out_of_time(returned: Return) -> bool:
    """Whether the exchange found the signed time too late, or ahead of its own."""
    return isinstance(returned, Reply) and returned.code == "-1021"
