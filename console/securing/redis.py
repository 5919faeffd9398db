"""Redis: who may come in, as whom, by which wire, and what they may do there."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

import redis

from config.sections.base import is_loopback
from config.settings import Settings
from console.securing.answers import Answers, Told, finding, fine, skipped, unknown
from pipeline.watch.broker import impatient_redis

USERS = "`throughline redis-acl` makes users, one for each role; give this process the address with its own"

HARMLESS: Sequence[tuple[str, ...]] = (
    ("CONFIG", "GET", "maxmemory"),
    ("ACL", "LIST"),
    ("MODULE", "LIST"),
    ("CLIENT", "LIST"),
    ("SLOWLOG", "LEN"),
    ("SCAN", "0", "COUNT", "1"),
)
"""Each asks only, and belongs to a family that also changes, lists or empties everything."""


def look(settings: Settings) -> Answers:
    """Raises nothing: a Redis that does not answer is unknown."""
    host = urlsplit(settings.redis_url).hostname or "127.0.0.1"
    if not settings.redis.url:
        yield skipped("redis", "the own server listens on this host's loopback only, and messages are signed")
        return
    yield _wire(settings, host)
    try:
        yield _login(settings, host)
        yield _commands(settings)
    except (redis.RedisError, OSError) as error:
        yield unknown("redis", f"it does not answer: {error}", "`throughline doctor` says more")


def _wire(settings: Settings, host: str) -> Told:
    about = "redis: wire"
    if not settings.redis.has_tls:
        if is_loopback(host):
            return fine(about, "without TLS, and on this host only")
        return finding(
            about, f"without TLS to {host}: passwords and messages can be read", "redis.url: rediss://"
        )
    if "ssl_cert_reqs=none" in settings.redis_url or "ssl_check_hostname=false" in settings.redis_url.lower():
        return finding(
            about, "TLS that believes any certificate", "take ssl_cert_reqs and ssl_check_hostname away"
        )
    return fine(about, "TLS, and the server has to prove its name")


def _login(settings: Settings, host: str) -> Told:
    """Comes back as a stranger: the same address without user and password."""
    about = "redis: login"
    with impatient_redis(_without_login(settings.redis_url)) as stranger:
        try:
            stranger.ping()
        except (redis.AuthenticationError, redis.exceptions.NoPermissionError):
            return fine(about, "who says no password stays outside")
    if is_loopback(host):
        return fine(about, "no password is asked for, and only this host can reach it")
    return finding(about, f"whoever reaches {host} comes in without a password", USERS)


def _commands(settings: Settings) -> Told:
    about = "redis: rights"
    with impatient_redis(settings.redis_url) as client:
        allowed = [" ".join(command[:2]) for command in HARMLESS if _may(client, command)]
    if allowed:
        return finding(about, f"this process may also {', '.join(allowed)}", USERS)
    return fine(about, f"none of {len(HARMLESS)} commands that nobody needs is permitted")


def _may(client: redis.Redis, command: tuple[str, ...]) -> bool:
    """Raises: redis.RedisError when it does not answer."""
    try:
        client.execute_command(*command)  # type: ignore[no-untyped-call]  # no types
    except redis.exceptions.ResponseError:
        return False
    return True


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
