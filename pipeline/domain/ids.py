"""Identities. All are functions of their content, so that saying a thing twice names the same thing."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import NewType

DecisionId = NewType("DecisionId", str)
ClientOrderId = NewType("ClientOrderId", str)
PermitId = NewType("PermitId", str)
PositionId = NewType("PositionId", str)

DECISION_ID = re.compile(r"^dec_\d{8}_\d{6}_[0-9a-f]{12}$")


def digest(*parts: object) -> str:
    """64 hex characters of SHA-256 over the parts. The separator cannot occur inside a part."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def decision_id(symbol: str, slot: datetime, nonce: str = "") -> DecisionId:
    """`dec_<YYYYMMDD>_<HHMMSS>_<12 hex>` (48 bits) for a pass over `symbol` in `slot`.

    A scheduled pass has no nonce: two beats, or one beat twice, name the same decision.
    A manual pass brings a nonce, so that two requests in one second are two decisions.
    """
    at = slot.astimezone(UTC)
    suffix = digest("decision", symbol, at.isoformat(timespec="microseconds"), nonce)[:12]
    return DecisionId(f"dec_{at:%Y%m%d_%H%M%S}_{suffix}")


def task_id(decision: DecisionId, stage: str) -> str:
    """The Celery task id of a stage: pasting the decision id into Flower finds all of them."""
    return f"{decision}.{stage}"


def client_order_id(account: str, decision: DecisionId, leg: str, attempt: int) -> ClientOrderId:
    """32 lower-case hex characters: the longest form that Binance, Bybit and OKX all take."""
    return ClientOrderId(digest("order", account, decision, leg, attempt)[:32])


def permit_id(decision: DecisionId, leg: str) -> PermitId:
    """One permit for each leg of a decision."""
    return PermitId(f"per_{digest('permit', decision, leg)[:16]}")


def position_id(account: str, symbol: str, opened_by: DecisionId, earlier: int = 0) -> PositionId:
    """A position is named by the decision that opened it, and by how many that one had opened before: an entry that
    rests goes on filling after its first position was closed.
    """
    parts = (account, symbol, opened_by, earlier) if earlier else (account, symbol, opened_by)
    return PositionId(f"pos_{digest('position', *parts)[:16]}")
