"""What a run was configured with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.loading import load, read
from config.settings import Settings
from config.snapshot import ABSENT, Change, config_hash, diff, overrides, snapshot


def with_env(folder: Path, **variables: str) -> Settings:
    return load({f"THROUGHLINE_{name}": value for name, value in variables.items()}, folder)


def test_a_snapshot_is_plain_json_without_secrets(tmp_path: Path) -> None:
    """It is stored in the ledger and in session folders."""
    settings = with_env(
        tmp_path,
        EXCHANGE_API_KEY="hush-hush",
        REDIS_URL="redis://:hush-hush@cache:6379/0",
        LEDGER_URL="postgresql+psycopg://trader:hush-hush@db/ledger",
    )

    taken = snapshot(settings)

    text = json.dumps(taken)
    assert "hush-hush" not in text
    assert json.loads(text) == taken
    assert '"api_key": "(set)"' in text
    assert "postgresql+psycopg://trader:***@db/ledger" in text


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("REDIS_URL", "redis://cache:hush:hush@host/0"),
        ("REDIS_URL", "rediss://:hush%40hush@host/0?ssl_cert_reqs=required"),
        ("LEDGER_URL", "postgresql+psycopg://trader@host/db?sslmode=verify-full&password=hush"),
        ("LEDGER_URL", "postgresql+psycopg://user:hush@/db?host=/run/postgresql"),
    ],
)
def test_no_spelling_of_an_address_shows_its_password(tmp_path: Path, variable: str, address: str) -> None:
    """However somebody wrote it: with colons, in the query, for a socket."""
    assert "hush" not in json.dumps(snapshot(with_env(tmp_path, **{variable: address})))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HOME", "/elsewhere"),
        ("REDIS_PORT", "1234"),
        ("LEDGER_URL", "postgresql+psycopg://elsewhere/x"),
        ("FLOWER_PORT", "1234"),
        ("LOGGING_LEVEL", "DEBUG"),
        ("WORKERS_MARKET_PROCESSES", "9"),
        ("DEMO_SECONDS", "10"),
        ("SIMULATOR_PORT", "1234"),
    ],
)
def test_what_differs_between_hosts_does_not_change_the_hash(
    variable: str, value: str, tmp_path: Path
) -> None:
    """Hosts of one system would accuse each other of drift."""
    assert config_hash(with_env(tmp_path, **{variable: value})) == config_hash(load({}, tmp_path))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MODE", "testnet"),
        ("EXCHANGE_ACCOUNT", "second"),
        ("UNIVERSE_SYMBOLS", "BTCUSDT"),
        ("STRATEGIES_PARAMS", "{adaptive_ob: {floor: 3}}"),
        ("GOVERNOR_MAX_POSITIONS", "9"),
        ("EXECUTION_SLIPPAGE_BPS", "16"),
        ("CHAIN_CADENCE_S", "31"),
        ("SIMULATOR_SEED", "8"),
    ],
)
def test_what_changes_the_trading_changes_the_hash(variable: str, value: str, tmp_path: Path) -> None:
    """A decision's hash says under which rules it was made."""
    assert config_hash(with_env(tmp_path, **{variable: value})) != config_hash(load({}, tmp_path))


def test_the_hash_does_not_depend_on_the_spelling_of_a_number(tmp_path: Path) -> None:
    """1000 and 1000.00 are one limit."""
    plain = with_env(tmp_path, GOVERNOR_MAX_LEVERAGE="3")

    assert config_hash(with_env(tmp_path, GOVERNOR_MAX_LEVERAGE="3.00")) == config_hash(plain)
    assert len(config_hash(plain)) == 12


def test_a_diff_names_each_changed_key_with_both_values(tmp_path: Path) -> None:
    """`what changed since yesterday` is the first question after trouble."""
    before = snapshot(load({}, tmp_path))
    after = snapshot(with_env(tmp_path, CHAIN_CADENCE_S="5", STRATEGIES_PARAMS="{x: {y: 1}}"))

    assert diff(before, after) == [
        Change("chain.cadence_s", 30.0, 5.0),
        Change("strategies.params", {}, {"x": {"y": 1}}),
    ]


def test_a_diff_survives_keys_that_only_one_version_has(tmp_path: Path) -> None:
    """The last run may have been an older release."""
    now = snapshot(load({}, tmp_path))
    older: dict[str, Any] = json.loads(json.dumps(now))
    del older["chain"]["sweep_every_s"]
    older["chain"]["retired_s"] = 1

    assert diff(older, now) == [
        Change("chain.retired_s", 1, ABSENT),
        Change("chain.sweep_every_s", ABSENT, 2.0),
    ]


def test_overrides_name_variable_key_old_and_new(tmp_path: Path) -> None:
    """Which variable on which host did it?"""
    (tmp_path / "throughline.yaml").write_text("chain: {cadence_s: 60}\nredis: {port: 7}\n")
    env = {"THROUGHLINE_CHAIN_CADENCE_S": "5", "THROUGHLINE_GOVERNOR_PERMIT_KEY": "hush-hush"}

    found = {each.key: each for each in overrides(read(env, tmp_path))}

    assert set(found) == {"chain.cadence_s", "governor.permit_key"}
    cadence = found["chain.cadence_s"]
    assert (cadence.variable, cadence.default, cadence.value) == ("THROUGHLINE_CHAIN_CADENCE_S", 60, 5.0)
    assert "hush-hush" not in repr(found)
