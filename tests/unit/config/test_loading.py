"""Configuration: four layers, and a start that stops with everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import keys, loading
from config.loading import load, read
from config.settings import Settings
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError


def written(folder: Path, text: str, name: str = "throughline.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def complaint(env: dict[str, str], folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(env, folder)
    return str(caught.value)


def test_without_any_file_the_defaults_hold(tmp_path: Path) -> None:
    """The first start needs no configuration."""
    settings = load({}, tmp_path)

    assert settings.mode is Mode.PAPER
    assert len(settings.universe.symbols) == 20
    assert settings.home == tmp_path / "var"


def test_the_shipped_defaults_say_the_same_as_the_classes(tmp_path: Path) -> None:
    """Two places that disagree would be a trap: tests use the classes, people read the file."""
    shipped = load({}, tmp_path).model_dump()
    built_in = Settings().model_dump()
    for name in ("home", "universe"):
        del shipped[name], built_in[name]

    assert shipped == built_in


def test_each_layer_stands_above_the_one_before(tmp_path: Path) -> None:
    """File over defaults, running session over file, environment over all."""
    written(tmp_path, "redis: {port: 1001}\nflower: {port: 1002}\nsimulator: {port: 1003}\n")
    written(tmp_path, "flower: {port: 2002}\nsimulator: {port: 2003}\n", "var/session.yaml")

    loaded = read({"THROUGHLINE_SIMULATOR_PORT": "3003"}, tmp_path)

    settings = loaded.settings
    assert (settings.redis.port, settings.flower.port, settings.simulator.port) == (1001, 2002, 3003)
    assert loaded.sources["redis.port"].where == f"{tmp_path / 'throughline.yaml'}, line 1"
    assert loaded.sources["simulator.port"].variable == "THROUGHLINE_SIMULATOR_PORT"


def test_a_session_can_be_left_out(tmp_path: Path) -> None:
    """A new `up` must not inherit the ports of a run that was killed."""
    written(tmp_path, "redis: {port: 2002}\n", "var/session.yaml")

    assert load({}, tmp_path, session=False).redis.port == Settings().redis.port


def test_a_named_file_is_used_instead_of_the_one_in_the_folder(tmp_path: Path) -> None:
    """THROUGHLINE_CONFIG chooses between several configurations."""
    written(tmp_path, "mode: testnet\n")
    written(tmp_path, "mode: paper\n", "other.yaml")

    assert load({"THROUGHLINE_CONFIG": "other.yaml"}, tmp_path).mode is Mode.PAPER


def test_a_named_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    """Silently trading with the defaults instead would be the worst answer."""
    message = complaint({"THROUGHLINE_CONFIG": "gone.yaml"}, tmp_path)

    assert "THROUGHLINE_CONFIG" in message
    assert str(tmp_path / "gone.yaml") in message


@pytest.mark.parametrize("key", keys.keys(), ids=lambda key: key.name)
def test_every_key_can_be_set_by_its_variable(key: keys.Key, tmp_path: Path) -> None:
    """One leaf, one variable: nobody has to look it up."""
    said = {
        "mode": "testnet",
        "governor.state_at_start": "ACTIVE",
        "logging.level": "DEBUG",
        "strategies.params": "{adaptive_ob: {floor: 3}}",
        "market.timeframes": "5m, 1h",
        "exchange.id": "binanceusdm",
        "sentry.traces_sample_rate": "0.5",
        "strategies.cancel_within_score": "0.5",
        "sizing.risk_per_trade": "0.5",
        "governor.breaker_share": "0.5",
        "flower.enabled": "false",
        "chain.skip_unchanged": "false",
        "watch.enabled": "false",
        "alerts.least": "critical",
        "watch.pulse_every_s": "9",
        "strategies.resolution": "unanimous",
        "execution.order": "market",
        "paper.fills": "broker",
        "strategies.time_limit_s": "2.5",
        "chain.visibility_timeout_s": "55",
        "chain.soft_time_limit_s": "19",
        "chain.hard_time_limit_s": "26",
        "chain.max_deliveries": "4",
        "logging.paper_level": "ERROR",
        "logging.testnet_level": "ERROR",
        "logging.live_level": "DEBUG",
        "metrics.enabled": "true",
        "metrics.anyone": "true",
        "market.max_lag_bars": "4",
        "redis.url": "redis://other",
        "market.bars": "150",
        "feed.decide_at_close": "1h",
        "governor.signal_max_age_bars": "4",
        "execution.max_attempts": "4",
    }
    env = {key.variable: said.get(key.name, "59" if key.is_number else "other")}
    if key.name == "exchange.receive_window_ms":
        env[key.variable] = "5900"
    if key.name.startswith("redis.tls_"):
        beside = {"URL": "rediss://host", "TLS_CERT": "other", "TLS_KEY": "other"}
        env = {**{f"THROUGHLINE_REDIS_{name}": value for name, value in beside.items()}, **env}

    loaded = read(env, tmp_path)

    assert loaded.sources[key.name].variable == key.variable


def test_orders_may_not_rest_longer_than_their_stage_runs(tmp_path: Path) -> None:
    """Stopped by the clock, a worker would leave its order in the book."""
    written(tmp_path, "execution: {order: limit, rest_s: 30}\ngovernor: {permit_ttl_s: 90}\n")

    assert "execution.rest_s is 30" in complaint({}, tmp_path)


def test_trading_symbols_overrides_the_universe(tmp_path: Path) -> None:
    """The variable that people know from other bots."""
    written(tmp_path, "universe: {symbols: [ETH/USDT:USDT]}\n")

    assert load({"TRADING_SYMBOLS": "BTCUSDT, SOL/USDT"}, tmp_path).universe.symbols == (
        "BTCUSDT",
        "SOL/USDT",
    )


def test_two_spellings_of_one_key_must_agree(tmp_path: Path) -> None:
    """Which of two symbol lists would win is nothing to guess about."""
    env = {"TRADING_SYMBOLS": "BTCUSDT", "THROUGHLINE_UNIVERSE_SYMBOLS": "ETHUSDT"}

    message = complaint(env, tmp_path)

    assert "TRADING_SYMBOLS" in message
    assert "THROUGHLINE_UNIVERSE_SYMBOLS" in message
    assert load(dict.fromkeys(env, "BTCUSDT"), tmp_path).universe.symbols == ("BTCUSDT",)


def test_an_unknown_variable_is_named_with_its_nearest(tmp_path: Path) -> None:
    """A misspelt limit that is ignored is no limit."""
    message = complaint({"THROUGHLINE_GOVERNOR_MAX_POSITION": "3"}, tmp_path)

    assert "variable THROUGHLINE_GOVERNOR_MAX_POSITION" in message
    assert "THROUGHLINE_GOVERNOR_MAX_POSITIONS?" in message


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    """Compose files pass unset variables on as empty ones."""
    assert load({"THROUGHLINE_MODE": "", "TRADING_SYMBOLS": ""}, tmp_path).mode is Mode.PAPER


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Ten starts for ten mistakes would be nine too many."""
    path = written(
        tmp_path,
        "mode: papper\nchain:\n  cadense_s: 4\n  cadence_s: fast\nmarket:\n  timeframes: 30m\n"
        "governor:\n  max_positions: yes\nsizing:\n  risk_per_trade: 5\n",
    )

    message = complaint({"THROUGHLINE_MARKET_BARS": "10"}, tmp_path)

    for line, words in {
        1: "mode is 'papper'; expected one of paper, testnet, live",
        3: "unknown key chain.cadense_s; did you mean chain.cadence_s?",
        4: "chain.cadence_s is 'fast'; expected a number, at least 1, at most 86400",
        6: "market.timeframes is '30m'; expected a list of names",
        8: "governor.max_positions is True; expected a whole number, at least 1",
        10: "sizing.risk_per_trade is '5'; expected a number, above 0, at most 1",
    }.items():
        assert f"{path}, line {line}: {words}" in message
    assert "variable THROUGHLINE_MARKET_BARS: market.bars is '10'" in message
    assert "7 problems" in message


def test_limits_that_contradict_each_other_are_refused_with_both_places(tmp_path: Path) -> None:
    """A pair of keys can be wrong although each is right."""
    path = written(tmp_path, "chain:\n  soft_time_limit_s: 28\n")

    message = complaint({}, tmp_path)

    assert f"{path}, line 2" in message
    assert "soft_time_limit_s < hard_time_limit_s" in message


def test_a_key_said_twice_is_refused(tmp_path: Path) -> None:
    """YAML would silently take the last one."""
    assert "mode is said twice" in complaint({}, written(tmp_path, "mode: paper\nmode: testnet\n").parent)


@pytest.mark.parametrize("text", ["a: [b", "mode: \x01", "- a\n- b\n", "mode: 'open\n"])
def test_a_broken_file_is_named_with_the_place(text: str, tmp_path: Path) -> None:
    """No stack trace of a parser, and no content: a secret may stand there."""
    path = written(tmp_path, text)

    assert str(path) in complaint({}, tmp_path)


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    """It happens with container mounts of files that do not exist."""
    (tmp_path / "throughline.yaml").mkdir()

    assert str(tmp_path / "throughline.yaml") in complaint({}, tmp_path)


def test_live_needs_the_switch_beside_the_configuration(tmp_path: Path) -> None:
    """One wrong word in a file must not trade real money."""
    written(tmp_path, "mode: live\n")

    assert "THROUGHLINE_ALLOW_LIVE=yes" in complaint({}, tmp_path)
    assert "THROUGHLINE_ALLOW_LIVE=yes" in complaint({"THROUGHLINE_ALLOW_LIVE": "true"}, tmp_path)
    assert load({"THROUGHLINE_ALLOW_LIVE": "yes"}, tmp_path).mode is Mode.LIVE


def test_an_empty_universe_stops_the_start(tmp_path: Path) -> None:
    """Nothing to trade is a mistake, not a quiet day."""
    assert "universe.symbols" in complaint({"TRADING_SYMBOLS": " , "}, tmp_path)


def test_keys_are_asked_for_only_where_trading_needs_them(tmp_path: Path) -> None:
    """Reading commands work without them."""
    env = {"THROUGHLINE_MODE": "testnet", "THROUGHLINE_EXCHANGE_API_KEY": "k"}
    settings = load(env, tmp_path)

    with pytest.raises(ConfigError, match="THROUGHLINE_EXCHANGE_API_SECRET"):
        loading.require_keys(settings)
    loading.require_keys(load(env | {"THROUGHLINE_EXCHANGE_API_SECRET": "s"}, tmp_path))
    loading.require_keys(load({}, tmp_path))


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """As container platforms mount them; the line's end does not belong to it."""
    path = written(tmp_path, "hush-hush\n", "api_key")

    settings = load({"THROUGHLINE_EXCHANGE_API_KEY_FILE": str(path)}, tmp_path)

    assert settings.exchange.api_key.get_secret_value() == "hush-hush"
    assert loading.secret_values(settings) == {"hush-hush"}


def test_an_address_with_a_password_comes_from_a_file(tmp_path: Path) -> None:
    """A container's environment can be read by whoever may inspect it; and no complaint quotes the address."""
    path = written(tmp_path, "redis://market:hush-hush@redis:6379/0\n", "redis_url")
    env = {"THROUGHLINE_REDIS_URL_FILE": str(path)}

    assert load(env, tmp_path).redis_url == "redis://market:hush-hush@redis:6379/0"
    both = complaint(env | {"THROUGHLINE_REDIS_URL": "redis://:another-one@redis"}, tmp_path)
    assert "differ" in both
    assert not any(secret in both for secret in ("hush-hush", "another-one"))


@pytest.mark.parametrize(
    "said", [{"TLS_CA": "ca.pem"}, {"URL": "rediss://host", "TLS_CERT": "cert.pem"}], ids=["no TLS", "no key"]
)
def test_tls_by_halves_stops_the_start(said: dict[str, str], tmp_path: Path) -> None:
    """Somebody believes that it is on."""
    assert "tls_" in complaint({f"THROUGHLINE_REDIS_{name}": value for name, value in said.items()}, tmp_path)


def test_only_secrets_come_from_files(tmp_path: Path) -> None:
    """Everything else has one way in."""
    assert "set THROUGHLINE_MODE instead" in complaint({"THROUGHLINE_MODE_FILE": "/etc/hosts"}, tmp_path)


def test_secrets_never_stand_in_a_complaint(tmp_path: Path) -> None:
    """Complaints end up in logs and tickets."""
    written(tmp_path, "exchange:\n  api_key: 99887766\n  api_secret: [hush-hush]\n")
    env = {"THROUGHLINE_EXCHANGE_API_KEY": "one-key", "THROUGHLINE_EXCHANGE_API_KEY_FILE": "/nowhere"}

    message = complaint(env, tmp_path)

    assert not any(secret in message for secret in ("99887766", "hush-hush", "one-key"))


def test_secrets_never_stand_in_what_was_loaded(tmp_path: Path) -> None:
    """Somebody will print it."""
    loaded = read({"THROUGHLINE_GOVERNOR_PERMIT_KEY": "hush-hush"}, tmp_path)

    assert "hush-hush" not in repr(loaded)


@pytest.mark.parametrize("told", ["inf", "-inf", "nan", "1e300"])
@pytest.mark.parametrize("name", ["CHAIN_SWEEP_EVERY_S", "GOVERNOR_EQUITY_MAX_AGE_S", "WATCH_LOOK_EVERY_S"])
def test_a_time_that_is_none_stops_the_start(tmp_path: Path, name: str, told: str) -> None:
    """Reckoned with it would end a process later, with a stack trace."""
    assert name in complaint({f"THROUGHLINE_{name}": told}, tmp_path)


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        ("governor.equity_max_age_s", "chain.equity_every_s"),
        ("governor.reconciled_max_age_s", "chain.reconcile_every_s"),
        ("watch.silent_after_s", "watch.pulse_every_s"),
    ],
)
def test_a_time_that_must_be_longer_than_another_says_than_which(
    tmp_path: Path, longer: str, shorter: str
) -> None:
    """Nothing would ever trade, or everything would count as dead; each for itself is a good number."""
    message = complaint({variable(longer): "6", variable(shorter): "7"}, tmp_path)
    assert f"{longer} is 6" in message
    assert f"more than {shorter} (7 s)" in message


def test_a_limit_that_strategies_do_not_fit_into_is_named_though_theirs_is_nowhere_set(
    tmp_path: Path,
) -> None:
    """The defaults of a key may stand in the program alone."""
    message = complaint({"THROUGHLINE_CHAIN_SOFT_TIME_LIMIT_S": "2"}, tmp_path)
    assert "THROUGHLINE_CHAIN_SOFT_TIME_LIMIT_S" in message
    assert "strategies.time_limit_s is" in message


def variable(key: str) -> str:
    return f"THROUGHLINE_{key.replace('.', '_').upper()}"


def test_a_home_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Every command begins with it; whose home it is or how its name came about, only a person can say."""
    home = tmp_path / ("x" * 300)  # which no file system can look up, whoever asks
    said = complaint({"THROUGHLINE_HOME": str(home)}, tmp_path)
    assert said.startswith(f"{home}: the folder cannot be read: ")
    assert "THROUGHLINE_HOME" in said


def test_an_address_that_is_not_of_redis_stops_the_start(tmp_path: Path) -> None:
    """Otherwise the broker's library finds out, in every process, in words of its own."""
    written(tmp_path, "mode: paper\nredis:\n  url: foo://bar\n")
    said = complaint({}, tmp_path)
    assert said.startswith(f"{tmp_path / 'throughline.yaml'}, line 3: redis.url is ")
    assert "expected redis://" in said
    assert load({"THROUGHLINE_REDIS_URL": "rediss://r:1/0"}, tmp_path).redis_url.startswith("rediss://r:1/0")
