"""Sentry, as a real server receives it: one trace for a decision over several processes, and no secret."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.trace.sentry import trace_id
from tests.support.waiting import BUSY

pytestmark = pytest.mark.integration

DECISION = "dec_20260102_030400_0123456789ab"
ROOT = Path(__file__).parents[2]

STAGE_THAT_FAILS = """
import sys, urllib.request
from pathlib import Path
from config.home import ensure_home
from config.loading import load
from pipeline.domain.events import EventName
from pipeline.trace import context, logs, sentry
from pipeline.trace.events import LoggedEvents

folder, stage = Path(sys.argv[1]), sys.argv[2]
settings = load(cwd=folder)
ensure_home(settings.home)
logs.configure("worker", settings)
assert sentry.start(settings, "worker")
scope = sentry.decision_scope("{decision}", symbol="BTC/USDT", stage=stage)
with context.bound(decision_id="{decision}"), scope:
    urllib.request.urlopen(sys.argv[3] + "/fapi/v1/time?signature=abcdef0123456789").read()
    try:
        raise ValueError("boom with hush-hush-hush")
    except ValueError:
        LoggedEvents().emit(EventName.DECISION_END, outcome="failed", reason="STAGE_RAISED", at=settings.mode)
sentry.check_in("throughline-beat", well=stage == "fetch")
LoggedEvents().emit(EventName.PUBLISH_FAILED, task="fetch", text=chr(0xD800))
sentry.stop()
""".replace("{decision}", DECISION)


class Receiver(ThreadingHTTPServer):
    """Takes envelopes as Sentry does, and answers everything else like a small exchange."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.items: list[tuple[str, dict[str, Any]]] = []
        self.raw = b""
        self.headers_seen: list[dict[str, str]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [item for found, item in self.items if found == kind]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_GET(self) -> None:
        self.server.headers_seen.append({name.lower(): value for name, value in self.headers.items()})
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.raw += body
        lines = [json.loads(line) for line in body.split(b"\n") if line]
        for header, payload in zip(lines[1::2], lines[2::2], strict=False):
            self.server.items.append((header["type"], payload))
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the tests ask what was received."""


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """What two processes, each running a stage of one decision, sent."""
    folder = tmp_path_factory.mktemp("sentry")
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for stage in ("fetch", "evaluate"):
            run_stage(folder, stage, server)
        yield server
        server.shutdown()


def run_stage(folder: Path, stage: str, server: Receiver) -> None:
    env = {
        "PYTHONPATH": str(ROOT),
        "THROUGHLINE_HOME": str(folder),
        "THROUGHLINE_SENTRY_DSN": f"http://public-key-of-ours@{server.address}/1",
        "THROUGHLINE_SENTRY_TRACES_SAMPLE_RATE": "1",
        "THROUGHLINE_GOVERNOR_PERMIT_KEY": "hush-hush-hush",
    }
    command = [sys.executable, "-c", STAGE_THAT_FAILS, str(folder), stage, f"http://{server.address}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60 * BUSY, check=False)
    assert done.returncode == 0, done.stderr


def test_both_processes_report_into_the_decisions_own_trace(received: Receiver) -> None:
    """Its id can be computed by anybody who has the decision's."""
    failures = [event for event in received.of("event") if event["tags"].get("event") == "DECISION_END"]

    assert len(failures) == 2
    assert {event["contexts"]["trace"]["trace_id"] for event in failures} == {trace_id(DECISION)}
    assert {item["contexts"]["trace"]["trace_id"] for item in received.of("transaction")} == {
        trace_id(DECISION)
    }


def test_errors_are_tagged_with_their_decision(received: Receiver) -> None:
    """Searching for the id in Sentry finds them."""
    failures = [event for event in received.of("event") if event["tags"].get("event") == "DECISION_END"]

    for event in failures:
        tags = event["tags"]
        assert (tags["decision_id"], tags["symbol"], tags["reason"]) == (DECISION, "BTC/USDT", "STAGE_RAISED")
        assert tags["component"] == "worker"
        assert event["exception"]["values"][0]["type"] == "ValueError"
    assert {event["tags"]["stage"] for event in failures} == {"fetch", "evaluate"}


def test_an_error_outside_a_decision_has_no_decision(received: Receiver) -> None:
    """The scope ends with its block."""
    alone = [event for event in received.of("event") if event["tags"].get("event") == "PUBLISH_FAILED"]

    assert len(alone) == 2
    assert all("decision_id" not in event["tags"] for event in alone)
    assert all(event["contexts"]["trace"]["trace_id"] != trace_id(DECISION) for event in alone)


def test_beat_checks_in_at_a_cron_monitor(received: Receiver) -> None:
    """Sentry makes the monitor by the first one, and calls somebody when no further one comes."""
    told = received.of("check_in")

    assert [(each["monitor_slug"], each["status"]) for each in told] == [
        ("throughline-beat", "ok"),
        ("throughline-beat", "error"),
    ]
    assert told[0]["monitor_config"]["schedule"] == {"type": "interval", "value": 1, "unit": "minute"}


def test_no_envelope_holds_a_secret(received: Receiver) -> None:
    """Neither a configured one nor the signature of a request."""
    assert b"boom with ***" in received.raw
    assert b"hush-hush" not in received.raw
    assert b"abcdef0123456789" not in received.raw


def test_the_exchange_gets_no_header_of_sentrys(received: Receiver) -> None:
    """It is a stranger."""
    assert received.headers_seen
    assert not any(
        {"sentry-trace", "baggage", "traceparent"} & headers.keys() for headers in received.headers_seen
    )
