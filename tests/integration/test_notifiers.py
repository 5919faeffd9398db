"""Alerts as other programs receive them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pipeline.domain.events import EventName, Level
from pipeline.domain.levels import Alert, AlertKind, LevelCode, Severity
from pipeline.trace.events import RecordedEvents
from pipeline.watch.notifiers import AppriseNotifier, LogNotifier, NotSent, WebhookNotifier

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALERT = Alert(
    account="paper-main",
    kind=AlertKind.RAISED,
    code=LevelCode.BEAT_GONE,
    subject="",
    severity=Severity.CRITICAL,
    detail="beat@alpha/1 fell silent 21 s ago",
    since=AT,
    at=AT,
    also=(LevelCode.NO_DECISION,),
)
OVER = replace(ALERT, kind=AlertKind.CLEARED, at=AT.replace(minute=5), also=())


@dataclass
class Receiver:
    """A web server that keeps what is posted to it."""

    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(kept.status)
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


def test_a_webhook_gets_everything_as_one_object(receiver: Receiver) -> None:
    """Code, detail, since, what to do: a program can act on it, a person can read it."""
    WebhookNotifier(f"http://{receiver.address}/hook").send(ALERT)
    (body,) = receiver.bodies
    assert (body["kind"], body["code"], body["severity"]) == ("raised", "BEAT_GONE", "critical")
    assert body["since"] == "2026-03-01T12:00:00.000Z"
    assert body["also"] == ["NO_DECISION"]
    assert "start `throughline beat`" in body["do"]


def test_a_webhook_that_refuses_is_an_error_without_its_address(receiver: Receiver) -> None:
    """The address is a secret as a whole: it must not stand in a log because of an error."""
    receiver.status = 500
    with pytest.raises(NotSent, match="500") as caught:
        WebhookNotifier(f"http://{receiver.address}/secret-token").send(ALERT)
    assert "secret-token" not in str(caught.value)


def test_a_webhook_that_nobody_serves_is_an_error_without_its_address() -> None:
    with pytest.raises(NotSent) as caught:
        WebhookNotifier("http://127.0.0.1:1/secret-token").send(ALERT)
    assert "secret-token" not in str(caught.value)


def test_apprise_delivers_title_and_text(receiver: Receiver) -> None:
    """One library for a hundred services; its own JSON service stands for all of them."""
    AppriseNotifier(f"json://{receiver.address}/").send(ALERT)
    (body,) = receiver.bodies
    assert body["title"] == "[critical] BEAT_GONE on paper-main"
    assert "beat@alpha/1 fell silent" in body["message"]
    assert "NO_DECISION" in body["message"]
    AppriseNotifier(f"json://{receiver.address}/").send(OVER)
    assert receiver.bodies[1]["title"].startswith("[over] BEAT_GONE")
    assert "lasted 300 s" in receiver.bodies[1]["message"]


@pytest.mark.parametrize("urls", ["nonsense", "unknown://x"])
def test_an_address_that_apprise_does_not_know_is_an_error(urls: str) -> None:
    """Found at the first alert at the latest, and kept as the level ALERTS_FAIL."""
    with pytest.raises(NotSent):
        AppriseNotifier(urls).send(ALERT)


def test_the_log_has_every_alert_and_what_is_over_more_quietly() -> None:
    """Whatever else fails, it stands there."""
    events = RecordedEvents()
    LogNotifier(events).send(ALERT)
    LogNotifier(events).send(OVER)
    raised, over = events.all
    assert (raised.name, raised.level, over.level) == (EventName.ALERT, Level.ERROR, Level.INFO)
    assert "So: " in str(raised.fields["detail"])
