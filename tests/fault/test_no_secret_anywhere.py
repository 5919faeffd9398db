"""After a run with faults, kills and everything debugged, no secret stands anywhere but where it was put."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from console import roles
from console.preparing import open_account
from pipeline.domain.events import Area
from pipeline.trace import debugging
from tests.support.chain import ChainProcesses
from tests.support.clients import message_key_of, trusted_client
from tests.support.processes import Started, free_port
from tests.support.sentry_sink import SentrySink
from tests.support.waiting import eventually

SECRETS = {
    "THROUGHLINE_EXCHANGE_API_KEY": "tl-key-9f8e7d6c5b4a",
    "THROUGHLINE_EXCHANGE_API_SECRET": "tl-secret-1a2b3c4d5e6f",
    "THROUGHLINE_GOVERNOR_PERMIT_KEY": "tl-permit-0f1e2d3c4b5a",
    "THROUGHLINE_FLOWER_PASSWORD": "tl-flower-a9b8c7d6e5f4",
}
DSN_KEY = "5e47a1b2c3d4e5f60718293a4b5c6d7e"
BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")

TELLTALE = '''
"""A strategy with a bug: it raises what it must not know."""

import os

from pipeline.strategies.interface import Params, Strategy


class Telltale(Strategy[Params]):
    """Raises the keys."""

    name = "telltale"
    warm_up = 1

    def indicators(self, candles):
        return {}

    def signal(self, view):
        raise ValueError(" ".join(text for name, text in os.environ.items() if name.startswith("THROUGHLINE_")))
'''


@dataclass
class Keyed(ChainProcesses):
    """A chain whose keys are found by searching for them. `told`: what was answered to whoever asked its workers."""

    told: dict[str, bytes] = field(default_factory=dict)

    def arm(self) -> None:
        open_account(self.pipeline.settings)
        super().arm()


@pytest.fixture(scope="module")
def sink() -> Iterator[SentrySink]:
    receiver = SentrySink()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def chain(sink: SentrySink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """Everything is on that could say too much; then things go wrong."""
    strategies = tmp_path_factory.mktemp("strategies")
    (strategies / "telltale.py").write_text(TELLTALE)
    buys = Path(__file__).parents[1] / "support" / "strategies" / "always_buys.py"
    (strategies / buys.name).write_text(buys.read_text())
    told = {
        **SECRETS,
        "THROUGHLINE_SENTRY_DSN": sink.dsn.replace("public-key", DSN_KEY),
        "THROUGHLINE_SENTRY_TRACES_SAMPLE_RATE": "1",
        "THROUGHLINE_STRATEGIES_FOLDER": str(strategies),
        "THROUGHLINE_STRATEGIES_ENABLED": "always_buys,telltale",
        "THROUGHLINE_LOGGING_LEVEL": "DEBUG",
    }
    made = Keyed(told)
    try:
        _go_wrong(made)
        yield made
    finally:
        made.stop()


def _go_wrong(chain: Keyed) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    (chain.home / "run").mkdir(exist_ok=True)
    debugging.switch(debugging.path_in(chain.home), dict.fromkeys(Area, until))
    chain.start_workers()
    chain.told = {**_asked(chain), **_shown_by_flower(chain)}
    chain.fault("latency", endpoint="/fapi/v1/klines", symbol="ETHUSDT", seconds=2.0, count=1)
    chain.fault("timeout_after", endpoint="/fapi/v1/order", symbol="SOLUSDT", count=1)
    killed = chain.enqueue("ETHUSDT")
    eventually(lambda: any("ETHUSDT" in line for line in chain.log_lines()), 20, "the fetch to begin")
    chain.child_of("market").kill()
    decisions = [killed, chain.enqueue("BTCUSDT"), chain.enqueue("SOLUSDT")]
    chain.wait_with_upkeep(
        lambda: all(not chain.decision(each).is_open for each in decisions), 60, "the decisions to end"
    )
    chain.run("trace", killed)
    chain.run("config", "show", "--json")
    chain.run("report", "--json")
    for name in ("orders", "market"):
        chain.processes[name].stop()


def _asked(chain: Keyed) -> dict[str, bytes]:
    """By remote control: all that a worker tells of itself."""
    with trusted_client("somebody", chain.redis.url, chain.home) as client:
        inspect = client.control.inspect(timeout=60, limit=1)
        return {name: json.dumps(getattr(inspect, name)()).encode() for name in ("stats", "conf", "report")}


def _shown_by_flower(chain: Keyed) -> dict[str, bytes]:
    """Its pages ask the workers too."""
    port, login = free_port(), ("throughline", SECRETS["THROUGHLINE_FLOWER_PASSWORD"])
    env = {**chain.env, "THROUGHLINE_FLOWER_PORT": str(port), "THROUGHLINE_FLOWER_USER": login[0]}
    flower = Started("flower", list(roles.flower()), chain.home / "flower.out", env=env)
    chain.processes["flower"] = flower

    def shown() -> bytes:
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/api/workers?refresh=1", auth=login, timeout=60)
        except requests.ConnectionError:
            return b""
        return answer.content if b"prefetch_count" in answer.content else b""

    try:
        return {"Flower's workers": eventually(shown, 40, "Flower to show what the workers are")}
    finally:
        flower.stop()


def test_the_run_said_what_it_was_to_hide(chain: Keyed, sink: SentrySink) -> None:
    """A scan that finds nothing proves something only when there was something to find."""
    lines = [json.loads(line) for line in chain.log_lines()]

    assert {line["area"] for line in lines if line["event"] == "DEBUG"} >= {"exchange", "governor", "ledger"}
    assert any(
        "ValueError: ***" in str(line.get("error")) or "***" in str(line.get("error")) for line in lines
    )
    assert sink.of("event")
    assert chain.placed()
    assert all(b"visibility_timeout" in chain.told[name] for name in ("stats", "Flower's workers"))


def test_no_file_of_the_home_holds_a_secret(chain: Keyed) -> None:
    """Logs, outputs, sessions, and the ledger's every row and page."""
    files = [path for path in chain.home.rglob("*") if path.is_file() and path.parent.name != "secrets"]

    assert {path.name for path in files} >= {"all.jsonl", "ledger.sqlite3", "market.out"}
    assert found_in({str(path): path.read_bytes() for path in files}, chain) == []


def test_no_worker_tells_a_secret_to_whoever_asks(chain: Keyed) -> None:
    """With the key of the messages, who may look in Flower could make messages of his own."""
    assert found_in(chain.told, chain) == []


def test_redis_never_heard_a_secret(chain: Keyed) -> None:
    """Its append-only file has every key and message that was ever written."""
    chain.redis.stop()
    written = {str(path): path.read_bytes() for path in chain.redis.folder.rglob("*") if path.is_file()}

    assert any(b"tasks.fetch" in content for content in written.values())
    assert any(b'"visibility_timeout"' in content for content in readable(written).values())
    assert found_in(readable(written), chain) == []


def test_no_envelope_to_sentry_holds_a_secret(sink: SentrySink, chain: Keyed) -> None:
    """It goes to somebody else's machine."""
    sent = {f"{kind} {number}": json.dumps(item).encode() for number, (kind, item) in enumerate(sink.items)}

    assert found_in(sent, chain) == []


def readable(places: dict[str, bytes]) -> dict[str, bytes]:
    """With what is packed in base64, as the bodies of messages are."""
    return {
        place: b"\n".join(
            [content, *(b64decode(each) for each in BASE64.findall(content) if len(each) % 4 == 0)]
        )
        for place, content in places.items()
    }


def found_in(places: dict[str, bytes], chain: Keyed) -> list[str]:
    """Which secret stands where."""
    wanted = {**SECRETS, "sentry": DSN_KEY, "messages": message_key_of(chain.home)}
    return [f"{name} in {place}" for place, content in places.items() for name, secret in wanted.items()
            if secret.encode() in content]  # fmt: skip
