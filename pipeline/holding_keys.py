"""Whose keys a process may trade with: live trading refuses one that could take the money away."""

from __future__ import annotations

from pipeline.bootstrap import Pipeline
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName
from pipeline.exchange.ccxt_adapter import CcxtExchange
from pipeline.exchange.key_rights import KeyRights

NO_KEYS = KeyRights(None, None, "the paper broker has no account on an exchange")


def key_rights_of(pipeline: Pipeline) -> KeyRights:
    """What the exchange says of this pipeline's key."""
    exchange = pipeline.exchange
    return exchange.key_rights() if isinstance(exchange, CcxtExchange) else NO_KEYS


def refuse_withdrawal(pipeline: Pipeline) -> None:
    """Before anything trades in mode live; nothing in the other modes.

    A key whose rights nobody knows is named in the log and may trade: an exchange that does not answer this question
    must not keep positions from being looked after. Raises: ConfigError when the key may withdraw.
    """
    if pipeline.settings.mode is not Mode.LIVE:
        return
    rights = key_rights_of(pipeline)
    if rights.can_withdraw:
        raise ConfigError(
            "this API key may withdraw money; live trading refuses it.",
            where="exchange.api_key",
            remedy=f"Take that right away at {pipeline.settings.exchange.id}, or make a key that can only read and "
            "trade, bound to this host's address.",
        )
    if rights.can_withdraw is None:
        what = "whether the API key may withdraw money is unknown; trading goes on"
        pipeline.events.emit(EventName.SECURITY, what=what, problem=rights.why)
