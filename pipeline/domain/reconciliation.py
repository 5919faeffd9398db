"""What ledger and exchange may disagree on, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Subject(StrEnum):
    """What a difference is about."""

    ORDER = "order"
    FILL = "fill"
    POSITION = "position"
    BALANCE = "balance"


@unique
class Remedy(StrEnum):
    """`settled`, `booked` and `adopted` put the ledger right; `canceled` took back what was ours and nobody needs;
    `left` is somebody else's and stays untouched; `escalated` needs a person, and nothing is opened meanwhile; `told`
    is only named.
    """

    SETTLED = "settled"
    BOOKED = "booked"
    ADOPTED = "adopted"
    CANCELED = "canceled"
    LEFT = "left"
    TOLD = "told"
    ESCALATED = "escalated"


REPAIRS = frozenset({Remedy.SETTLED, Remedy.BOOKED, Remedy.ADOPTED, Remedy.CANCELED})
"""What put something right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, by name, with what was done."""

    subject: Subject
    symbol: str
    what: str
    remedy: Remedy

    @property
    def blocks(self) -> bool:
        """Whether nothing may be opened until it is gone."""
        return self.remedy is Remedy.ESCALATED

    def __str__(self) -> str:
        return f"{self.symbol}: {self.what}"
