"""How people write a symbol, and how the ledger does."""

from __future__ import annotations

from config.settings import Settings
from pipeline.domain.instruments import plain


def as_in_ledger(settings: Settings, name: str) -> str:
    """The ledger's spelling, without asking the exchange: the ledger may be all that is left."""
    wanted = plain(name)
    known = {plain(symbol): symbol for symbol in settings.universe.symbols}
    spelled = known.get(wanted, name)
    if ":" in spelled:
        return spelled
    base = wanted.removesuffix("USDT")
    return f"{base}/USDT:USDT"
