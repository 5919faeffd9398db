"""The parts of supervision that need no process: programs, ports, configuration, noticing deaths."""

from __future__ import annotations

import configparser
import shlex
import socket
from pathlib import Path

import pytest

from config.home import ensure_home
from config.loading import read
from config.sections.processes import FlowerSettings, RedisSettings, SimulatorSettings
from config.sections.trading import ExchangeSettings
from config.settings import Settings
from console.supervise import ports
from console.supervise.conf import supervisord_conf
from console.supervise.host import STOP_ORDER
from console.supervise.last_words import last_lines
from console.supervise.programs import Program, Role, programs_of
from console.supervise.remote import ProcessState, socket_path
from console.supervise.session import has_fresh_keys, run_account, unset, written
from console.supervise.watcher import MANY_DEATHS, TRY_AGAIN_AFTER_S, Watcher
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError
from tests.support.processes import free_port


def quiet(home: Path = Path("var")) -> Settings:
    """Any free ports."""
    return Settings(
        home=home,
        redis=RedisSettings(port=0),
        simulator=SimulatorSettings(port=0),
        flower=FlowerSettings(port=0),
    )


def running(name: str, pid: int, state: str = "RUNNING") -> ProcessState:
    return ProcessState(name, state, pid, "")


# ------------------------------------------------------------------------------------------------- programs


def test_what_is_given_elsewhere_is_not_started_here() -> None:
    """With a Redis and an exchange of your own, `up` starts neither."""
    here = {program.role for program in programs_of(quiet())}
    assert here == set(Role) - {Role.EXPORTER}  # Prometheus is somebody else's: who has one asks for it
    elsewhere = Settings(
        mode=Mode.TESTNET,
        redis=RedisSettings(url="redis://127.0.0.1:1/0"),
        flower=FlowerSettings(enabled=False),
    )
    assert {program.role for program in programs_of(elsewhere)} == {
        Role.FEED,
        Role.WORKER_MARKET,
        Role.WORKER_ORDERS,
        Role.BEAT,
        Role.WATCH,
    }


def test_the_simulated_exchange_keeps_its_accounts_in_the_home() -> None:
    """The ledger beside it holds positions that it must not forget."""
    (simulator,) = [each for each in programs_of(quiet(Path("var"))) if each.role is Role.SIMULATOR]
    assert f"--state={Path('var').absolute() / 'simulator.jsonl'}" in simulator.command


def test_programs_stop_in_the_opposite_order_of_their_start() -> None:
    """Nothing new after beat, no worker without its Redis."""
    stopped = [role for roles in STOP_ORDER for role in roles]
    assert sorted(stopped) == sorted(Role)
    assert (stopped[:2], stopped[-1]) == ([Role.WATCH, Role.BEAT], Role.REDIS)
    assert stopped.index(Role.WORKER_ORDERS) < stopped.index(Role.SIMULATOR)


def test_a_worker_may_finish_its_longest_task_before_it_is_killed() -> None:
    """A shutdown that kills a task in its execution makes an order of unknown fate."""
    settings = quiet()
    workers = [program for program in programs_of(settings) if program.role.value.startswith("worker")]
    assert len(workers) == 2
    assert all(program.stop_wait_s > settings.chain.hard_time_limit_s for program in workers)


def test_no_secret_stands_on_a_command_line() -> None:
    """Every user of the machine can read those."""
    settings = Settings(exchange=ExchangeSettings(api_key="the-key", api_secret="the-secret"))  # type: ignore[arg-type]
    words = " ".join(word for program in programs_of(settings) for word in program.command)
    assert "the-key" not in words
    assert "the-secret" not in words


# --------------------------------------------------------------------------------------------- configuration


def test_the_configuration_survives_odd_characters_in_paths(tmp_path: Path) -> None:
    """Supervisor expands percent signs and splits at blanks; a home may have both."""
    home = tmp_path / "50 % done"
    program = Program(role=Role.BEAT, command=("/bin/echo", str(home), "100%"))
    parser = configparser.RawConfigParser()
    parser.read_string(supervisord_conf([program], home, home / "run" / "s.sock"))
    command = parser["program:beat"]["command"] % {}
    assert shlex.split(command)[-3:] == ["/bin/echo", str(home), "100%"]
    assert parser["program:beat"]["stdout_logfile"] % {} == str(home / "logs" / "beat.out")


def test_a_long_home_still_has_a_socket_that_the_kernel_takes(tmp_path: Path) -> None:
    """The kernel takes about a hundred bytes; temporary and CI folders are longer."""
    deep = tmp_path / ("d" * 120)
    assert len(str(socket_path(deep))) < 100
    assert socket_path(deep) == socket_path(deep)
    assert socket_path(deep) != socket_path(deep / "other")
    assert socket_path(Path("/srv/home")) == Path("/srv/home/run/supervisor.sock")


# ----------------------------------------------------------------------------------------------------- ports


def test_a_port_in_use_is_named_with_its_setting_and_variable() -> None:
    """The sentence must be enough to go on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            ports.settle(quiet().model_copy(update={"redis": RedisSettings(port=port)}))
    said = str(caught.value)
    assert [part in said for part in (str(port), "redis.port", "THROUGHLINE_REDIS_PORT")] == [True] * 3


def test_one_port_for_two_servers_is_refused() -> None:
    """Otherwise the second one dies at its start, for a reason that nobody sees."""
    port = free_port()
    both = quiet().model_copy(update={"redis": RedisSettings(port=port), "flower": FlowerSettings(port=port)})
    with pytest.raises(ConfigError, match="two servers"):
        ports.settle(both)


def test_port_0_takes_free_ones() -> None:
    """Several runs beside each other, as tests do."""
    settled = ports.settle(quiet())
    assert set(settled) == {"redis.port", "simulator.port", "flower.port"}
    assert len(set(settled.values())) == 3
    assert all(settled.values())


# --------------------------------------------------------------------------------------------------- session


def test_the_sessions_overlay_reaches_its_processes_and_goes_with_the_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that `up` found free must not be overruled by the variable that asked for any."""
    monkeypatch.setenv("THROUGHLINE_REDIS_PORT", "0")
    with written(ensure_home(home)) as session:
        told = session.add({"redis.port": 12345, "exchange.api_key": "k" * 32})
        assert told.settings.redis.port == 12345
        assert read(session.environment()).settings.redis.port == 12345
        assert "THROUGHLINE_REDIS_PORT" not in session.environment()
        assert (home / "session.yaml").stat().st_mode & 0o077 == 0
    assert not (home / "session.yaml").exists()


def test_each_paper_run_has_an_account_of_its_own(home: Path) -> None:
    """The embedded exchange forgets; under the old name the ledger would expect positions that are gone."""
    loaded = read()
    first, second = run_account(loaded), run_account(loaded)
    assert first["exchange.api_secret"] != second["exchange.api_secret"]
    assert str(first["exchange.account"]).startswith("main-")
    with written(ensure_home(home)) as session:
        assert has_fresh_keys(session.add(first))
    assert not has_fresh_keys(loaded)


def test_keys_and_names_that_you_gave_stay(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run must not trade on another account than the one that was asked for."""
    monkeypatch.setenv("THROUGHLINE_EXCHANGE_API_KEY", "mine-mine-mine")
    monkeypatch.setenv("THROUGHLINE_EXCHANGE_API_SECRET", "too-too-too")
    monkeypatch.setenv("THROUGHLINE_EXCHANGE_ACCOUNT", "other")
    assert run_account(read()) == {}
    assert unset({"exchange.account": "x", "chain.cadence_s": 5.0}, read()) == {"chain.cadence_s": 5.0}


# --------------------------------------------------------------------------------------------------- watching


def test_a_death_is_noticed_by_its_new_pid() -> None:
    """supervisord restarts within a moment: the state alone may never show it."""
    watcher = Watcher()
    assert watcher.look([running("beat", 10)], 0.0) == []
    (notice,) = watcher.look([running("beat", 11)], 1.0)
    assert (notice.name, notice.deaths, notice.keeps_dying) == ("beat", 1, False)
    assert watcher.look([running("beat", 11)], 2.0) == []


def test_a_stop_is_no_death() -> None:
    """Nobody is alarmed by what was asked for."""
    watcher = Watcher()
    watcher.look([running("beat", 10)], 0.0)
    assert watcher.look([running("beat", 10, "STOPPING")], 1.0) == []
    assert watcher.look([running("beat", 0, "STOPPED")], 2.0) == []


def test_what_keeps_dying_is_named_once_and_then_when_it_is_given_up() -> None:
    """A crash loop must stand out, and must not fill the screen."""
    watcher = Watcher()
    told = [watcher.look([running("beat", pid)], float(pid)) for pid in range(1, 12)]
    assert [bool(notices) for notices in told] == [False, *[True] * MANY_DEATHS, *[False] * 7]
    assert [notice.keeps_dying for notices in told for notice in notices] == [False, False, True]
    (notice,) = watcher.look([running("beat", 0, "FATAL")], 12.0)
    assert notice.given_up
    assert watcher.to_start_again(12.5) == []
    assert watcher.to_start_again(12.0 + TRY_AGAIN_AFTER_S) == ["beat"]
    assert watcher.to_start_again(60.0) == []


def test_the_last_lines_of_a_large_output_are_found(tmp_path: Path) -> None:
    """They say why it died."""
    output = tmp_path / "beat.out"
    output.write_text("".join(f"line {number}\n\n" for number in range(10_000)))
    assert last_lines(output, 2) == ["line 9998", "line 9999"]
    assert last_lines(tmp_path / "nothing.out") == []
