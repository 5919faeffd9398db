"""`throughline up`: starts everything in order, keeps it up, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from config.home import ensure_home
from console.preparing import forget_candles
from console.supervise.programs import Program, Role
from pipeline.market.store import CandleStore
from pipeline.watch.whereabouts import ASKED
from tests.integration.up_worlds import (
    FREE_PORTS,
    Up,
    all_gone,
    command_line,
    end_tree,
    names_of_living,
    pid_in,
    throughline,
)
from tests.support.processes import Started, temporary_folder
from tests.support.waiting import eventually

PORTS = {name.removeprefix("THROUGHLINE_"): value for name, value in FREE_PORTS.items()}


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """One for all tests of this module that only look or that it survives."""
    running = Up(temporary_folder("up") / "home")
    yield running
    running.process.stop(timeout=60)


# ---------------------------------------------------------------------------------------------- while it runs


def test_a_decision_runs_through_the_processes_that_up_started(up: Up) -> None:
    """Enqueued here, fetched and evaluated there, ended with a reason, readable by its ids."""
    trace = up.read("enqueue", "BTCUSDT", "--wait")
    assert trace["outcome"]
    assert trace["reason"]
    assert trace["stages"][0]["stage"] == "fetch"
    assert {stage["worker"].partition("@")[0] for stage in trace["stages"]} <= {"market", "orders"}
    assert up.read("trace", trace["stages"][0]["task_id"])["decision_id"] == trace["decision_id"]
    listed = up.read("decisions", "--symbol", "btc/usdt", "--limit", "100")
    assert trace["decision_id"] in [each["decision_id"] for each in listed]
    story = throughline(up.home, "logs", trace["decision_id"]).stdout
    assert "DECISION_START" in story
    assert "DECISION_END" in story


def test_status_names_every_process_and_queue(up: Up) -> None:
    """One look tells what runs, what waits, and whether it may trade."""
    status = up.read("status")
    assert {each["name"] for each in status["processes"]} == set(Role) - {Role.EXPORTER}
    assert set(status["queues"]) == {"fetch", "evaluate", "validate", "execute", "upkeep"}
    assert status["trading"] == "ACTIVE"
    assert float(status["equity"]) > 0


def test_nobody_else_can_read_a_file_of_the_home(up: Up) -> None:
    """Not even where the folder itself was opened by mistake."""
    files = [path for path in up.home.rglob("*") if path.is_file()]
    assert {path.name for path in files} > {"ledger.sqlite3", "simulator.jsonl", "worker-orders.out"}
    assert [str(path) for path in files if path.stat().st_mode & 0o077] == []


def test_a_second_up_on_the_same_home_is_refused(up: Up) -> None:
    """Two would share a ledger, a Redis folder and a schedule."""
    second = throughline(up.home, "up", **PORTS)
    assert second.returncode == 2
    assert pid_in(second.stderr) == up.process.pid
    assert "Traceback" not in second.stderr
    assert up.program("beat")["state"] == "RUNNING"


def test_a_worker_that_is_killed_comes_back_and_works(up: Up) -> None:
    """Nobody sits beside it at night."""
    before = up.program("worker-market")["pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: up.program("worker-market")["pid"] not in {0, before}, 30, "the worker to be back")
    up.process.await_output("worker-market died")
    assert up.read("enqueue", "ETHUSDT", "--wait")["outcome"]


@pytest.mark.parametrize("name", ["worker-orders", "beat", "feed", "simulator"])
def test_a_process_that_is_asked_where_it_is_says_it_and_goes_on(up: Up, name: str) -> None:
    """Also a worker's child: where something hangs, nobody wants to install a debugger first."""
    head = psutil.Process(up.program(name)["pid"])
    output = up.home / "logs" / f"{name}.out"
    for process in (head, *head.children()):
        told = output.stat().st_size
        process.send_signal(ASKED)
        eventually(lambda: "most recent call first" in output.read_text()[told:], 20, f"{process} to say it")  # noqa: B023
        assert process.is_running()
    assert up.program(name)["pid"] == head.pid


def test_the_kill_switch_and_the_trading_state_are_set_and_shown(up: Up) -> None:
    """Somebody must be able to stop it, and to arm it again."""
    assert throughline(up.home, "kill", "on", "--reason", "test", "--symbol", "btcusdt").returncode == 0
    (switch,) = up.read("kill", "status")
    assert (switch["scope"], switch["name"], switch["reason"]) == ("symbol", "BTC/USDT:USDT", "test")
    assert throughline(up.home, "kill", "off", "--reason", "over", "--symbol", "BTC/USDT").returncode == 0
    assert up.read("kill", "status") == []
    assert throughline(up.home, "trading", "halted", "--reason", "test").returncode == 0
    assert up.read("status")["trading"] == "HALTED"
    assert throughline(up.home, "trading", "active", "--reason", "over").returncode == 0
    assert up.read("status")["trading"] == "ACTIVE"


# --------------------------------------------------------------------------------------------------- its end


def test_ctrl_c_ends_every_process_in_order_and_exits_0(home: Path) -> None:
    """Nothing new after beat, no task without its Redis, and a clean machine afterwards."""
    up = Up(home, FLOWER_ENABLED="false")
    family = up.family()
    assert len(family) > len(Role) - 1
    up.process.send(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert names_of_living(family) == []
    assert not (home / "session.yaml").exists()
    stops = [line for line in up.process.output().splitlines() if "stopping  " in line]
    assert [line.split()[2].strip(",") for line in stops] == [
        "watch",
        "beat",
        "worker-market",
        "simulator",
        "redis",
    ]


def test_a_killed_up_leaves_no_process_behind(home: Path) -> None:
    """`kill -9`, or the machine's own killer when memory is short: orphans would trade on unwatched."""
    up = Up(home, FLOWER_ENABLED="false")
    family = up.family()
    up.process.kill()
    try:
        all_gone(family)
    finally:
        end_tree(family)


# ---------------------------------------------------------------------------------------- before it starts


def refused(home: Path, **variables: str) -> str:
    """What `up` says when it does not start."""
    answer = throughline(home, "up", **{**PORTS, **variables})
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    return " ".join(answer.stderr.split())


def test_a_busy_port_is_a_sentence(home: Path) -> None:
    """It names the port, the setting and the variable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused(home, REDIS_PORT=port)
    assert [part in said for part in (port, "redis.port", "THROUGHLINE_REDIS_PORT")] == [True] * 3


def test_an_unknown_setting_is_a_sentence(home: Path) -> None:
    """A typing error in a limit must not leave the default in force."""
    assert "THROUGHLINE_CHAIN_CADENSE_S" in refused(home, CHAIN_CADENSE_S="5")


def test_a_home_that_is_no_folder_is_a_sentence(tmp_path: Path) -> None:
    """Without a place for the ledger nothing may start."""
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(tmp_path / "file" / "home")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_is_a_sentence(tmp_path: Path) -> None:
    """The same, in a folder that is mounted or owned read-only."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    assert str(home) in refused(home)


def test_missing_keys_of_a_real_exchange_are_a_sentence(home: Path) -> None:
    """Found before anything is started, not by the first order."""
    assert "THROUGHLINE_EXCHANGE_API_KEY" in refused(home, MODE="testnet")


def test_a_simulated_exchange_that_does_not_answer_is_a_sentence(home: Path) -> None:
    """And what had been started by then is gone again."""
    said = refused(home, SIMULATOR_URL="http://127.0.0.1:1", FLOWER_ENABLED="false")
    assert "127.0.0.1:1" in said
    assert not (home / "session.yaml").exists()
    assert not [each for each in psutil.process_iter() if str(home) in command_line(each)]


def test_bars_of_an_earlier_simulated_exchange_are_forgotten(redis_url: str) -> None:
    """Mixed with the new one's they would be prices that never were; queues and locks stay."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        store = CandleStore(client)
        client.mset(
            {store.key("BTC/USDT:USDT", "1m"): "bars", store.key("ETH/USDT:USDT", "4h"): "bars", "fetch": "m"}
        )
        forget_candles(redis_url)
        assert client.keys("*") == ["fetch"]


def test_a_run_that_was_killed_is_ended_by_the_next(home: Path) -> None:
    """Where the kernel cannot tie children to their parent, the next start does it."""
    from console.supervise.lock import end_left_behind, left_behind

    stays = Program(role=Role.BEAT, command=(sys.executable, "-c", "import time; time.sleep(600)"))
    ensure_home(home)
    orphan = supervisor_without_parent(stays, home)
    assert left_behind(home) == orphan.pid
    assert end_left_behind(home, 20)
    assert not orphan.is_running()
    assert left_behind(home) is None


def supervisor_without_parent(program: Program, home: Path) -> Started:
    """A supervisord as a killed `up` leaves it on a system without parent-death signals."""
    from console.supervise.conf import supervisord_conf
    from console.supervise.remote import Remote, socket_path

    conf = home / "run" / "supervisord.conf"
    conf.write_text(supervisord_conf([program], home, socket_path(home)))
    socket_path(home).parent.mkdir(exist_ok=True, parents=True)
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(conf)]
    started = Started("supervisord", command, home / "orphan.log")
    eventually((home / "run" / "supervisord.pid").exists, 20, "supervisord to be there")
    remote = Remote(socket_path(home))
    remote.start(program.role.value)
    eventually(lambda: remote.process(program.role.value).pid, 20, "its program to run")
    return started
