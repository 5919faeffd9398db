"""Three hosts, and what happens to the ways between them, to their power, their clocks and their code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from console import roles
from pipeline.domain.checks import CheckCode
from pipeline.domain.outcomes import EndReason
from tests.hosts.network import faketime
from tests.hosts.world import CADENCE_S, World, hosts
from tests.support.processes import ROOT
from tests.support.servers import Unavailable
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("hosts")

PATIENCE_S = CADENCE_S + 10
"""A1: another beat fires within a cadence and ten seconds."""
NOTICED_S = 60


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Two hosts at work; each test leaves them well, quiet and audited."""
    try:
        with hosts(seed=7, symbols=12) as made:
            made.start("b", "c")
            made.await_executed(4)
            yield made
    except Unavailable as reason:
        if os.environ.get("TEST_REQUIRE_HOSTS"):
            raise
        pytest.skip(str(reason))


def well_and_audited(world: World) -> None:
    """Everything is found to be well again, every decision has ended, and not a digit differs."""
    eventually(world.is_well, NOTICED_S, "all to be well again")
    with world.no_new_slots():
        world.on.drain(60)
        assert world.on.audit() == []
    eventually(world.leads, 30, "a beat to lead again")


@pytest.mark.parametrize("way", ["both ways", "its answers are lost"])
def test_a_host_that_is_cut_off_is_named_and_the_other_goes_on(world: World, way: str) -> None:
    """Its beat gives way, what it held comes back, nothing is ordered twice: also when its own requests get through."""
    lost = world.leads()
    stays = world.other(lost)
    with world.cut_off(lost, both_ways=way == "both ways"):
        eventually(lambda: world.leads() == stays, PATIENCE_S, f"the beat of {stays} to lead")
        world.await_executed(4)
        eventually(
            lambda: world.findings()[:1] == [("HOST_GONE", lost)], NOTICED_S, f"the doctor to name {lost}"
        )
        world.await_alert("HOST_GONE", lost)
    world.await_pulses(lost)
    well_and_audited(world)
    eventually(lambda: world.told_of_its_end(lost), 30, "everybody to be told that it is back")


def test_a_host_without_power_is_named_and_costs_no_decision(world: World) -> None:
    """Everything on it ends at once, in the middle of whatever it did."""
    dead = world.leads()
    world.flow()
    world.kill(dead)
    eventually(lambda: world.leads() == world.other(dead), PATIENCE_S, "the other beat to lead")
    eventually(lambda: world.findings()[:1] == [("HOST_GONE", dead)], NOTICED_S, f"the doctor to name {dead}")
    world.await_executed(2)
    world.start(dead)
    well_and_audited(world)


def test_a_host_whose_clock_is_off_is_named_and_permits_nothing(world: World) -> None:
    """Its beat would open slots that are long over; its orders would be refused for their time."""
    try:
        faketime()
    except Unavailable as reason:
        pytest.skip(str(reason))
    world.kill("c")
    with world.wrong_clock("c", -60):
        world.start("c")
        eventually(lambda: ("CLOCK_OFF", "c") in world.findings(), NOTICED_S, "the clock to be named")
        eventually(lambda: world.told("c", "BEAT_STEPS_BACK"), 20, "its beat to step back")
        denied = world.await_ended(CheckCode.CLOCK_SKEW)
        assert world.ended_by(denied) == "all@c"
        assert world.leads() == "b"
    world.start("c")
    well_and_audited(world)


def test_a_worker_of_another_release_is_named_and_refuses_what_it_gets(world: World, tmp_path: Path) -> None:
    """Somebody upgraded one host and forgot the other."""
    world.code["c"] = patched_code(tmp_path)
    late = world.start_role("c", "worker-late", roles.worker(roles.QUEUES, concurrency=1, name="late"))
    try:
        eventually(
            lambda: world.findings()[:1] == [("VERSION_DRIFT", "")], NOTICED_S, "the releases to be named"
        )
        refused = world.await_ended(EndReason.OTHER_RELEASE)
    finally:
        late.stop()
        del world.code["c"]
    assert "this worker runs" in refused.detail
    assert "late@c" not in world.workers()
    well_and_audited(world)


def patched_code(folder: Path) -> Path:
    """The same program with one line more."""
    for name in ("pipeline", "tasks", "config", "console"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "beat_schedule.py", folder)
    with (folder / "pipeline" / "stages" / "fetch.py").open("a", encoding="utf-8") as code:
        code.write("# patched\n")
    return folder
