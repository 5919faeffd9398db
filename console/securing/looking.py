"""All checks of security, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from config.loading import Loaded
from console.securing import files, keys, ledger, pages, redis
from console.securing.answers import Answers, Told
from pipeline.domain.decisions import Mode
from pipeline.exchange.key_rights import KeyRights


def secured(loaded: Loaded, env: Mapping[str, str], role: str = "") -> Sequence[Told]:
    """What there is to say. Raises nothing: what cannot be seen is unknown."""
    return list(_climb(loaded, env, role))


def _climb(loaded: Loaded, env: Mapping[str, str], role: str) -> Answers:
    from tasks.settings import celery_settings  # noqa: PLC0415  with it comes Celery, which takes a while

    settings = loaded.settings
    yield from redis.look(settings)
    yield pages.messages(celery_settings(settings)["accept_content"])
    yield from ledger.look(settings)
    yield from keys.look(settings, role)
    yield from keys.judge_rights(settings, _rights(loaded))
    yield from files.look(loaded, env)
    yield from pages.look(settings, env)


def _rights(loaded: Loaded) -> KeyRights:
    """Asked only where there is real money or the exchange's own."""
    settings = loaded.settings
    if settings.mode is Mode.PAPER:
        return KeyRights(None, None, "paper money")
    if not settings.exchange.api_secret.get_secret_value():
        return KeyRights(None, None, "this environment holds no key")
    from pipeline.bootstrap import build  # noqa: PLC0415  with it comes the exchange's library
    from pipeline.holding_keys import key_rights_of  # noqa: PLC0415  the same

    return key_rights_of(build(settings))
