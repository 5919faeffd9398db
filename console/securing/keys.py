"""Keys: are they strong, apart from each other, and only where they are needed?"""

from __future__ import annotations

from collections.abc import Mapping

from config.settings import Settings
from console.securing.answers import Answers, Told, finding, fine, skipped, unknown
from pipeline.domain.decisions import Mode
from pipeline.exchange.key_rights import KeyRights

SHORTEST = 32
MAKE = "`openssl rand -hex 32` makes one"

NEEDED: Mapping[str, frozenset[str]] = {
    "market": frozenset({"message key"}),
    "orders": frozenset({"message key", "permit key", "exchange keys"}),
    "beat": frozenset({"message key"}),
    "feed": frozenset({"message key"}),
    "flower": frozenset({"message key"}),
    "watch": frozenset(),
    "exporter": frozenset(),
    "sim": frozenset({"exchange keys"}),
}
"""What each role has to hold. A person's commands hold what they need."""


def look(settings: Settings, role: str) -> Answers:
    """Raises nothing."""
    message, permit = (
        settings.redis.message_key.get_secret_value(),
        settings.governor.permit_key.get_secret_value(),
    )
    if message or "message key" in NEEDED.get(role, {"message key"}):
        yield _key("message key", message, several=bool(settings.redis.url))
    else:
        yield skipped("keys: message key", f"{role} sends no messages")
    yield _key("permit key", permit, several=False)
    if message and message == permit:
        yield finding("keys", "the message key is the permit key: whoever publishes could permit", MAKE)
    yield _places(settings, role)


def _key(name: str, value: str, *, several: bool) -> Told:
    about = f"keys: {name}"
    if not value:
        if several:
            return finding(
                about, "it is not set, and each home makes its own: other hosts count as strangers", MAKE
            )
        return fine(about, "made for this home, 64 random characters")
    if len(value) < SHORTEST or len(set(value)) < SHORTEST // 4:
        return finding(about, f"it could be guessed ({len(value)} characters)", MAKE)
    return fine(about, f"{len(value)} characters")


def _places(settings: Settings, role: str) -> Told:
    about = "keys: places"
    if role not in NEEDED:
        return skipped(about, f"say which role this environment is of: --role {'|'.join(NEEDED)}")
    held = {
        "message key": settings.redis.message_key,
        "permit key": settings.governor.permit_key,
        "exchange keys": settings.exchange.api_secret,
    }
    excess = [name for name, key in held.items() if key.get_secret_value() and name not in NEEDED[role]]
    if excess:
        return finding(
            about, f"{role} holds the {', '.join(excess)} and needs none", "do not give them to it"
        )
    return fine(about, f"{role} holds what it needs")


def judge_rights(settings: Settings, rights: KeyRights) -> Answers:
    """What the exchange says of the account's key."""
    about = "exchange: key"
    if settings.mode is Mode.PAPER:
        yield skipped(about, "paper money")
        return
    if rights.can_withdraw is None:
        yield unknown(
            about, f"whether it may withdraw is not known: {rights.why}", "look at the exchange's own page"
        )
        return
    if rights.can_withdraw:
        yield finding(about, "it may withdraw", "take that right away; mode live refuses it")
    elif not rights.is_bound:
        yield finding(about, "it works from any address in the world", "bind it to this host's address")
    else:
        yield fine(about, "it cannot withdraw, and works from listed addresses only")
