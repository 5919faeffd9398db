"""Every message carries a signature: who can write to Redis, but has no key, can run nothing.

Signed is all that a message says, and the queue that it is for: task, arguments, headers, expiry, delivery tag. Only
the mark that it was delivered before is left out, for kombu sets it itself when a worker has died.

A message that was signed once may be pushed again by anybody who has read it. That is what a broker does as well:
stages and upkeep are safe to deliver twice, and late.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson

from config.home import local_key
from config.settings import Settings
from tasks.policies import QUEUES

SIGNATURE = "signature"
REDELIVERED = "redelivered"
PARTS = ("body", "content-type", "content-encoding")

_own: dict[str, str] = {}


def message_key(settings: Settings) -> str:
    """The key of this deployment: `redis.message_key`, or one that this home keeps for itself.

    Raises: ConfigError when it cannot be kept.
    """
    told = settings.redis.message_key.get_secret_value()
    return told or local_key(settings.home, "message_key").decode()


def use(key: str) -> None:
    """From now on this process, and whoever it forks, signs with this key and believes no other.

    Not an option of the transport: whoever asks a worker how it is connected is told those, and Flower shows them.
    """
    _own["key"] = key


def own_key() -> str:
    """The key of this process; empty before one is used: then nothing is signed, and nothing believed."""
    return _own.get("key", "")


def sign(message: MutableMapping[str, Any], key: str) -> None:
    """Put the signature among the message's properties. Without a key the message stays as it is."""
    if key:
        message["properties"][SIGNATURE] = _signature(message, key)


def problem_of(message: object, queue: str, key: str) -> str | None:
    """Why a message that came out of `queue` is not to be believed; None when it was signed with our key, for it."""
    try:
        return _problem_of(message, queue, key)
    except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
        return f"it has not the form of a message ({type(error).__name__})"


def _problem_of(message: Any, queue: str, key: str) -> str | None:
    properties = message["properties"]
    told = properties.get(SIGNATURE)
    if not isinstance(told, str):
        return "it is not signed"
    if not hmac.compare_digest(told.encode(), _signature(message, key).encode()):
        return "its signature does not fit: it was changed, or signed with another redis.message_key"
    meant = properties["delivery_info"]["routing_key"]
    if queue in QUEUES and meant != queue:
        return f"it was signed for the queue {meant}"
    return None


def _signature(message: Mapping[str, Any], key: str) -> str:
    properties = {name: value for name, value in message["properties"].items() if name != SIGNATURE}
    properties["delivery_info"] = _first_time(properties.get("delivery_info") or {})
    told = [*(message.get(part) for part in PARTS), _first_time(message["headers"] or {}), properties]
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    return hmac.digest(key.encode(), orjson.dumps(told, default=str, option=options), "sha256").hex()


def _first_time(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != REDELIVERED}
