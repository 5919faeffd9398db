"""Web pages, modes and messages: what is open, and what is switched on."""

from __future__ import annotations

from collections.abc import Mapping

import requests

from config.sections.base import is_loopback
from config.settings import Settings
from console.securing.answers import Answers, Told, finding, fine, skipped
from pipeline.domain.decisions import Mode

ANSWER_WITHIN_S = 3
HIDDEN = "bind it to 127.0.0.1 and reach it through a tunnel, or put a proxy with TLS before it"


def look(settings: Settings, env: Mapping[str, str]) -> Answers:
    """Raises nothing."""
    flower, metrics = settings.flower, settings.metrics
    yield _page("flower", flower.host, f"http://{flower.host}:{flower.port}/", asks=True)
    yield _page(
        "exporter",
        metrics.host,
        f"http://{metrics.host}:{metrics.port}/metrics",
        asks=bool(metrics.password.get_secret_value()),
        closed=metrics.anyone,
    )
    yield from _mode(settings, env)


def _page(name: str, host: str, url: str, *, asks: bool, closed: bool = False) -> Told:
    about = f"pages: {name}"
    answer = _status(url)
    if asks and answer == requests.codes.ok:
        return finding(about, f"{url} answers without a login", f"start it with `throughline {name}`")
    if not is_loopback(host):
        if closed:
            return fine(about, f"on {host} without a login, in a network that metrics.anyone says is closed")
        return finding(about, f"it listens on {host} without TLS: its login can be read on the way", HIDDEN)
    if answer is None:
        return skipped(about, f"nothing answers at {url}")
    return fine(about, "on this host only" + (", behind a login" if asks else ""))


def _status(url: str) -> int | None:
    try:
        return requests.get(url, timeout=ANSWER_WITHIN_S, allow_redirects=False).status_code
    except requests.RequestException:
        return None


def _mode(settings: Settings, env: Mapping[str, str]) -> Answers:
    about = "mode"
    is_live, is_allowed = settings.mode is Mode.LIVE, env.get("THROUGHLINE_ALLOW_LIVE") == "yes"
    if is_allowed and not is_live:
        saw = f"THROUGHLINE_ALLOW_LIVE=yes beside mode {settings.mode}"
        yield finding(about, saw, "unset it until it is meant")
    elif is_live and settings.governor.state_at_start == "ACTIVE":
        do = "governor.state_at_start: HALTED, and `throughline trading active --reason ...` when you are there"
        yield finding(about, "live, and a new account trades at once", do)
    elif is_live:
        yield fine(about, "live is said twice, and a new account starts halted")
    else:
        yield fine(about, f"{settings.mode}, and live is not allowed")


def messages(accepted: object) -> Told:
    """What workers accept, from Celery's own settings."""
    about = "messages"
    if accepted == ["json"]:
        return fine(about, "JSON only, and signed: a pickle is refused unread")
    return finding(about, f"workers accept {accepted}", "accept_content: [json]")
