"""What the pipeline asks of the world. Small, written by its callers; adapters fulfil them.

Every method of a `Unit` works inside one transaction: it commits when the block ends, and leaving the block by an
exception rolls all of it back. Writes are idempotent where their docstring says so. All methods raise
`LedgerUnavailable` when the ledger cannot be reached or stays locked.
"""

from __future__ import annotations

from pipeline.domain.ports.chain import Decisions, Sessions, Stages, Verdicts
from pipeline.domain.ports.exchange import MarketData, Quote, Venue
from pipeline.domain.ports.ledger import Ledger, Unit
from pipeline.domain.ports.safety import Guards, Switches
from pipeline.domain.ports.trade import EquityCurve, Fills, Orders, Permits, Positions
from pipeline.domain.ports.watching import Levels, Rounds
from pipeline.domain.timeframes import Clock

__all__ = [
    "Clock",
    "Decisions",
    "EquityCurve",
    "Fills",
    "Guards",
    "Ledger",
    "Levels",
    "MarketData",
    "Orders",
    "Permits",
    "Positions",
    "Quote",
    "Rounds",
    "Sessions",
    "Stages",
    "Switches",
    "Unit",
    "Venue",
    "Verdicts",
]
