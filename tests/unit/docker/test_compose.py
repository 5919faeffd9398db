"""The compose files: of their language's form, and fitting to the program that they start."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from config.keys import by_name, variables
from config.loading import load
from config.snapshot import config_hash
from console.commands.roles import refuse_strangers
from console.main import application
from pipeline.domain.errors import ConfigError
from tests.support.compose import DOCKER, Unset, composed
from tests.support.processes import ROOT

FILES = ("role.yaml", "trading.yaml", "data.yaml", "compose.yaml")
HOST = {"THROUGHLINE_HOST": "alpha"}
ROLES = {
    "feed",
    "beat",
    "market",
    "orders",
    "watch",
    "flower",
    "simulator",
    "operator",
    "migrate",
    "exporter",
}
SERVERS = {"redis", "postgres", "prometheus", "grafana"}
SECRETS = "/run/secrets/"


@pytest.fixture(scope="module")
def everything() -> Mapping[str, Any]:
    return composed(DOCKER / "compose.yaml", HOST)


@pytest.fixture(scope="module")
def services(everything: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return dict(everything["services"])


def test_each_file_has_the_form_that_the_specification_asks_for() -> None:
    """The specification's own schema, as check-jsonschema carries it."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    files = [DOCKER / name for name in FILES]
    told = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_one_host_is_both_kinds_of_hosts_together(services: Mapping[str, Any]) -> None:
    parts = [composed(DOCKER / name, HOST)["services"] for name in ("data.yaml", "trading.yaml")]
    assert set(services) == ROLES | SERVERS
    assert not set(parts[0]) & set(parts[1])
    assert services == parts[0] | parts[1]


def test_a_host_without_a_name_does_not_start() -> None:
    """Two hosts of one name would take each other's leases for their own."""
    with pytest.raises(Unset, match="THROUGHLINE_HOST"):
        composed(DOCKER / "trading.yaml", {})
    services = composed(DOCKER / "trading.yaml", HOST)["services"]
    assert {each["hostname"] for each in services.values()} == {"alpha"}


@pytest.mark.parametrize("name", sorted(ROLES))
def test_the_program_knows_each_command_of_a_role(name: str, services: Mapping[str, Any]) -> None:
    """Parsed by the real command line, the health check too; nothing is run."""
    service = services[name]
    parse(service["command"])
    check = service["healthcheck"]
    if not check.get("disable"):
        assert check["test"][:2] == ["CMD", "throughline"]
        parse(check["test"][2:])


def parse(arguments: list[str]) -> None:
    group: Any = typer.main.get_command(application())
    context = group.make_context("throughline", list(arguments))
    name, *rest = arguments
    command = group.commands[name]
    command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("name", sorted(ROLES))
def test_the_program_knows_each_variable_of_a_role(name: str, services: Mapping[str, Any]) -> None:
    """A misspelt one would stop the role at its start; each file that one names is a secret of this role."""
    told = services[name]["environment"]
    files = {key: value for key, value in told.items() if key.endswith("_FILE")}
    plain = {key: value for key, value in told.items() if key not in files}
    places = {"THROUGHLINE_CONFIG": str(DOCKER / "throughline.yaml"), "THROUGHLINE_HOME": "/nowhere"}
    secrets = {key.removesuffix("_FILE"): "x" * 32 for key in files}
    settings = load(env={**plain, **secrets, "THROUGHLINE_REDIS_URL": "rediss://alpha", **places})
    if name == "exporter":
        refuse_strangers(settings)
    assert {key.removesuffix("_FILE") for key in files} <= set(variables())
    named = {value for value in told.values() if str(value).startswith(SECRETS)}
    assert {value.removeprefix(SECRETS) for value in named} | {"ca"} >= set(services[name].get("secrets", ()))
    assert {value.removeprefix(SECRETS) for value in named} <= set(services[name].get("secrets", ()))


def test_live_trading_is_allowed_in_one_place_for_all_roles() -> None:
    """A role that was forgotten would not start, and nobody would notice before the mode is live."""
    live = {"THROUGHLINE_MODE": "live", "THROUGHLINE_REDIS_URL": "rediss://alpha"}
    for said in ("yes", ""):
        services = composed(DOCKER / "compose.yaml", {**HOST, "THROUGHLINE_ALLOW_LIVE": said})["services"]
        for name in ROLES:
            told = services[name]["environment"]
            plain = {key: value for key, value in told.items() if not str(value).startswith(SECRETS)}
            plain.pop("THROUGHLINE_CONFIG")
            if said:
                load(env={**plain, **live}, cwd=DOCKER)
            else:
                with pytest.raises(ConfigError, match="ALLOW_LIVE"):
                    load(env={**plain, **live}, cwd=DOCKER)


def test_all_roles_have_one_configuration(services: Mapping[str, Any]) -> None:
    """What only some of them were told would be a drift, and the governor would deny everything."""
    hashes = set()
    for name in ROLES - {"operator", "simulator", "migrate"}:
        plain = {
            key: value
            for key, value in services[name]["environment"].items()
            if not str(value).startswith(SECRETS) and key != "THROUGHLINE_CONFIG"
        }
        hashes.add(config_hash(load(env=plain, cwd=DOCKER)))
    assert len(hashes) == 1


def users_of(secret: str, services: Mapping[str, Any]) -> set[str]:
    return {name for name, each in services.items() if secret in each.get("secrets", ())}


def test_each_secret_is_where_it_is_needed_and_nowhere_else(
    everything: Mapping[str, Any], services: Mapping[str, Any]
) -> None:
    """The exchange's key where orders are sent, the owner of the ledger where migrations run."""
    given = {secret: users_of(secret, services) for secret in everything["secrets"]}
    assert given["exchange_api_secret"] == given["exchange_api_key"] == {"orders", "simulator"}
    assert given["permit_key"] == given["redis_url_orders"] == {"orders"}
    assert given["redis_url_market"] == {"market"}
    assert given["redis_url_schedule"] == {"feed", "beat"}
    assert given["ledger_url_owner"] == {"migrate"}
    assert given["ledger_url_reader"] == {"exporter"}
    assert (given["metrics_password"], given["scrape_password"]) == ({"exporter"}, {"prometheus"})
    assert given["message_key"] == {"feed", "beat", "market", "orders", "flower", "operator"}
    assert [secret for secret, users in given.items() if not users] == []
    wanted = {secret for each in services.values() for secret in each.get("secrets", ())}
    assert wanted == set(given)


@pytest.mark.parametrize("name", sorted(ROLES | SERVERS))
def test_no_container_may_do_more_than_it_must(name: str, services: Mapping[str, Any]) -> None:
    """Read-only, without capabilities, started again after a crash, closed to the outside unless it says where."""
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] in {"unless-stopped", "on-failure"} or name == "operator"
    assert service.get("mem_limit") or name == "operator"
    assert "privileged" not in service
    assert [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")] == []
    assert name not in ROLES or service["user"] == "10001:10001"


def test_a_role_that_stops_may_finish_what_it_has_begun(services: Mapping[str, Any]) -> None:
    """Killed before, its messages come again a minute later."""
    hard = load(env={}, cwd=DOCKER).chain.hard_time_limit_s
    for name in ("market", "orders"):
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > hard + 5


def test_flower_and_the_simulator_start_only_when_asked_for(services: Mapping[str, Any]) -> None:
    asked = {name: each["profiles"] for name, each in services.items() if "profiles" in each}
    assert asked == {"flower": ["flower"], "simulator": ["paper"], "operator": ["operator"]}


def test_the_image_has_the_version_of_the_program(services: Mapping[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {services[name]["image"] for name in ROLES} == {f"throughline:{version}"}
    assert [each["image"] for each in services.values() if each["image"].endswith(":latest")] == []


def test_every_file_that_is_mounted_exists(services: Mapping[str, Any]) -> None:
    """Docker would make an empty folder of it."""
    for source in mounted(services.values()):
        assert (DOCKER / source).exists(), source
    script = DOCKER / "postgres/roles.sh"
    assert script.stat().st_mode & 0o111, "the server's image reads what it cannot run into its own shell"


def mounted(services: Iterable[Mapping[str, Any]]) -> set[str]:
    volumes = [volume for each in services for volume in each.get("volumes", ())]
    return {volume.split(":")[0] for volume in volumes if volume.startswith("./")}


def test_secrets_have_no_variable_of_their_own(services: Mapping[str, Any]) -> None:
    """`docker inspect` shows variables to everybody who may ask the engine."""
    secret = {key.variable for key in by_name().values() if key.is_secret}
    secret |= {"THROUGHLINE_LEDGER_URL", "THROUGHLINE_REDIS_URL", "POSTGRES_PASSWORD"}
    for name, each in services.items():
        assert not secret & set(each.get("environment", {})), name
