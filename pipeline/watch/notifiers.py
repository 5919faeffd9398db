"""Ways to tell somebody: the log, a webhook, and the many services that Apprise speaks to."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import requests

from pipeline.domain.events import EventName, Events, Level
from pipeline.domain.levels import Alert, AlertKind, Severity
from pipeline.domain.meanings import MEANINGS
from pipeline.domain.timeframes import iso

TIMEOUT_S = 10.0


class NotSent(Exception):
    """A service did not take an alert."""


def title(alert: Alert) -> str:
    """`[critical] BEAT_GONE on paper-main`, or `[over] ...`"""
    mark = {AlertKind.CLEARED: "over", AlertKind.REMINDED: f"still {alert.severity}"}
    about = f"{alert.code} {alert.subject}".strip()
    return f"[{mark.get(alert.kind, alert.severity)}] {about} on {alert.account}"


def text(alert: Alert) -> str:
    """What stands below the title."""
    since = f"since {alert.since:%Y-%m-%d %H:%M:%S} UTC"
    if alert.kind is AlertKind.CLEARED:
        lasted = alert.at - alert.since
        return f"It lasted {lasted.total_seconds():.0f} s, {since}. It was: {alert.detail}"
    lines = [f"{MEANINGS[alert.code].says}.", f"{alert.detail} ({since})", f"So: {MEANINGS[alert.code].do}"]
    lines += [f"Its consequences: {', '.join(alert.also)}"] if alert.also else []
    return "\n".join(lines)


def record(alert: Alert) -> dict[str, Any]:
    """As JSON."""
    return {
        "account": alert.account,
        "kind": alert.kind.value,
        "code": alert.code.value,
        "subject": alert.subject,
        "severity": alert.severity.value,
        "detail": alert.detail,
        "since": iso(alert.since),
        "at": iso(alert.at),
        "also": [code.value for code in alert.also],
        "says": MEANINGS[alert.code].says,
        "do": MEANINGS[alert.code].do,
        "title": title(alert),
        "text": text(alert),
    }


@dataclass(frozen=True, slots=True)
class LogNotifier:
    """Writes ALERT; what is over at INFO."""

    events: Events
    name: str = "log"

    def send(self, alert: Alert) -> None:
        over = alert.kind is AlertKind.CLEARED
        quiet = Level.INFO if over or alert.severity is Severity.NOTICE else None
        self.events.emit(
            EventName.ALERT,
            level=quiet,
            what=title(alert),
            detail=text(alert),
            account=alert.account,
        )


@dataclass(frozen=True, slots=True)
class WebhookNotifier:
    """Posts one JSON object to an address. Only its host appears in errors: the rest may be a secret."""

    url: str
    name: str = "webhook"

    def send(self, alert: Alert) -> None:
        try:
            answer = requests.post(self.url, json=record(alert), timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise NotSent(f"no answer ({type(error).__name__})") from None
        if not answer.ok:
            raise NotSent(f"it answered {answer.status_code}")


@dataclass(frozen=True, slots=True)
class AppriseNotifier:
    """All the services of Apprise: chat, mail, telephones. `urls` separated by blanks, as Apprise writes them."""

    urls: str
    name: str = "apprise"

    def send(self, alert: Alert) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # its own: it tries a module that Python drops
            self._send(alert)

    def _send(self, alert: Alert) -> None:
        import apprise  # noqa: PLC0415 - it takes half a second to load, and most have no use for it

        service = apprise.Apprise()
        if not service.add(self.urls.split()):
            raise NotSent("an address in alerts.urls is none that Apprise knows")
        over = alert.kind is AlertKind.CLEARED
        kind = apprise.NotifyType.SUCCESS if over else apprise.NotifyType.WARNING
        if not service.notify(body=text(alert), title=title(alert), notify_type=kind):
            raise NotSent("one of the services did not take it; the log has its words")
