"""Exceptions, named for what the caller does next.

::

    ThroughlineError
    ├── ConfigError          found before the start: the process does not start (exit code 2)
    ├── Transient            nothing happened: back off and try again
    │   ├── ExchangeUnavailable   the exchange could not be reached, or asked us to wait
    │   ├── LedgerUnavailable     the ledger could not be reached, or is locked
    │   ├── StoreUnavailable      the candle store could not be reached
    │   └── BarsPending           the exchange was asked for bars, and has not answered yet
    ├── OutcomeUnknown       sent, no answer to trust: ask the exchange by client order id
    ├── ExchangeRefused      the exchange understood and said no; asking again will not help
    ├── NotEnoughHistory     too few bars for the question asked
    ├── UnknownSymbol        the exchange does not trade this symbol
    ├── UnknownDecision      a message names a decision that the ledger has never seen
    └── InvariantBroken      a guarantee does not hold: stop trading, call a person

Being denied or rejected is a value (`Denied`, `Rejected`), never an exception.
"""

from __future__ import annotations


class ThroughlineError(Exception):
    """Everything that this project raises on purpose."""


class ConfigError(ThroughlineError):
    """The configuration or the machine cannot work as it is. The process does not start.

    `where` names the file and key, the variable or the path; `remedy` says what to do.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(" ".join(part for part in (f"{where}:" if where else "", what, remedy) if part))


class Transient(ThroughlineError):
    """Nothing happened. The caller backs off, for `retry_after_s` if it is known, and tries again."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class ExchangeUnavailable(Transient):
    """The exchange could not be reached, did not answer in time, or asked us to wait."""


class LedgerUnavailable(Transient):
    """The ledger could not be reached or stayed locked. Nothing was written."""


class StoreUnavailable(Transient):
    """The candle store could not be reached. It is a cache: the bars can be had from the exchange."""


class BarsPending(Transient):
    """The exchange was asked for missing bars and has not answered yet: soon they are in the store."""


class OutcomeUnknown(ThroughlineError):
    """A request was sent and no trustworthy answer came. It may have happened: ask, never repeat."""


class ExchangeRefused(ThroughlineError):
    """The exchange understood a reading request and refused it (a wrong key, say)."""

    def __init__(self, message: str, *, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class NotEnoughHistory(ThroughlineError):
    """Too few bars for the question asked."""


class UnknownSymbol(ThroughlineError):
    """The exchange does not trade this symbol. `nearest` is the closest known spelling, if any."""

    def __init__(self, symbol: str, nearest: str | None = None) -> None:
        self.symbol, self.nearest = symbol, nearest
        hint = f"; did you mean {nearest}?" if nearest else ""
        super().__init__(f"{symbol} is not traded on the exchange{hint}")


class UnknownDecision(ThroughlineError):
    """A message names a decision that the ledger has never seen or that is not for us, or names none at all."""


class InvariantBroken(ThroughlineError):
    """A guarantee does not hold (a fill without an order, a step that cannot be). Trading stops."""
