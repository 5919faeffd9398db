"""Starting and stopping the simulated exchange: clear sentences, clean ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.integration.simulator_clients import diverted
from tests.support.processes import ROOT, child_environment
from tests.support.servers import Simulator
from tests.support.waiting import BUSY


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to fail."""
    return subprocess.run(
        [sys.executable, "-m", "simulator", *options],
        capture_output=True,
        text=True,
        timeout=30 * BUSY,
        cwd=ROOT,
        env=child_environment({}),
        check=False,
    )


def test_a_busy_port_is_one_sentence_and_exit_code_2() -> None:
    """The most usual mistake of all."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run("--port", port)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert port in ended.stderr
    assert "address already in use" in ended.stderr


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--data", "/nowhere"), "--data /nowhere: no such folder"),
        (("--symbols", "BTC-EUR"), "--symbols"),
        (("--speed", "0"), "--speed"),
        (("--start", "yesterday"), "--start"),
        (("--journal", "/nowhere/journal"), "--journal /nowhere/journal"),
        (("--state", "/dev/null/state"), "--state /dev/null/state"),
        (("--port", "70000"), "--port"),
        (("--balance", "much"), "--balance"),
    ],
)
def test_a_start_that_cannot_be_is_refused_with_its_option(options: tuple[str, ...], names: str) -> None:
    """Exit code 2, the option, no stack trace."""
    ended = run("--port", "0", *options)
    assert ended.returncode == 2
    assert names in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully(
    start_simulator: Callable[..., Simulator], tmp_path: Path, number: signal.Signals
) -> None:
    """Exit code 0, the journal complete, one line said."""
    journal = tmp_path / "journal.jsonl"
    server = start_simulator("--symbols", "2", "--journal", str(journal))
    health = requests.get(f"{server.url}/_sim/health", timeout=60).json()
    assert health["ok"]
    assert health["symbols"] == ["BTCUSDT", "ETHUSDT"]
    server.process.send(number)
    assert server.process.wait() == 0
    kinds = [json.loads(line)["kind"] for line in journal.read_text().splitlines()]
    assert kinds
    assert set(kinds) == {"request"}
    assert len(server.process.output().splitlines()) == 1


def test_a_killed_exchange_that_is_started_again_still_has_the_position(
    start_simulator: Callable[..., Simulator], tmp_path: Path
) -> None:
    """`up` starts it again by itself; the ledger must find there what it holds."""
    options = ("--symbols", "2", "--seed", "5", "--state", str(tmp_path / "simulator.jsonl"))
    first = start_simulator(*options)
    exchange = diverted(first.url, apiKey="sim-key", secret="sim-secret")
    exchange.create_order("ETH/USDT:USDT", "market", "buy", 0.5)
    exchange.session.close()
    before = requests.get(f"{first.url}/_sim/accounts/sim-key", timeout=60).json()
    first.process.send(signal.SIGKILL)
    first.process.wait()
    second = start_simulator(*options)
    after = requests.get(f"{second.url}/_sim/accounts/sim-key", timeout=60).json()
    assert before["positions"][0]["qty"] == after["positions"][0]["qty"] == "0.5"
    assert before["wallet_balance"] == after["wallet_balance"] != "10000"


def test_who_asks_for_every_price_at_once_does_not_keep_others_waiting() -> None:
    """The first such question makes hundreds of histories: a cancel beside it must not time out.

    How long others wait is told by how long the question itself takes: a busy machine is slow for both.
    """
    server = Simulator("--seed", "7", "--symbols", "60")
    try:
        with ThreadPoolExecutor() as pool:
            began, waits = time.monotonic(), [0.0]
            every = pool.submit(requests.get, f"{server.url}/fapi/v1/ticker/bookTicker", timeout=60)
            while not every.done():
                asked = time.monotonic()
                requests.get(f"{server.url}/fapi/v1/time", timeout=60).raise_for_status()
                waits.append(time.monotonic() - asked)
            took = time.monotonic() - began
            assert len(every.result().json()) == 60
            assert max(waits) < took / 2
    finally:
        server.stop()
