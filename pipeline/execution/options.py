"""What execution can be told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionOptions:
    """How orders are placed and how long absence must last before it is believed.

    `receive_window_ms` is the exchange's: a request signed longer ago is refused at its gate.
    `sending_stale_s`: an order that is SENDING for longer has lost its sender; it must exceed the
    time-out of a request, so that a sender that still waits for its answer is not called dead.
    `rest_s`: how long a limit order may rest before its remainder is priced anew; `dead_man_s`: the exchange
    itself cancels what rests when we are not heard of for that long.
    """

    slippage_bps: Decimal = Decimal(15)
    max_attempts: int = 3
    retry_backoff_ms: int = 250
    receive_window_ms: int = 5000
    not_placed_margin_s: float = 60.0
    not_placed_misses: int = 3
    sending_stale_s: float = 10.0
    rest_s: float = 2.0
    rest_poll_s: float = 0.2
    dead_man_s: float = 30.0

    @property
    def margin(self) -> timedelta:
        return timedelta(seconds=self.not_placed_margin_s)

    @property
    def rest(self) -> timedelta:
        return timedelta(seconds=self.rest_s)

    @property
    def receive_window(self) -> timedelta:
        return timedelta(milliseconds=self.receive_window_ms)
