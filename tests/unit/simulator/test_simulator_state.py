"""A simulator that is started again: accounts, orders and prices go on where they were."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from simulator.app import build
from simulator.errors import OptionsError
from simulator.options import Options
from simulator.world import World
from tests.unit.simulator.exchange_worlds import request

D = Decimal
BTC = "BTCUSDT"


class Starts:
    """Starts simulators on one file, each as if the one before had been killed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.worlds: list[World] = []

    def __call__(self, **changes: object) -> World:
        options = Options(port=0, seed=3, symbols="2", state=self.file)
        self.worlds.append(build(replace(options, **changes)))  # type: ignore[arg-type]  # names of its own fields
        return self.worlds[-1]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Starts]:
    starts = Starts(tmp_path / "state" / "simulator.jsonl")
    yield starts
    for world in starts.worlds:
        world.engine.state.close()


def busy(world: World) -> None:
    """A position, a stop that waits for it, a limit order that rests, a transfer, a leverage of its own."""
    engine, account = world.engine, world.engine.accounts["sim-key"]
    now_ms = world.clock.now_ms()
    low = str((world.market.last(BTC, now_ms) * D("0.99")).quantize(D(1)))
    for wanted in (request(qty="0.012"), request("SELL", qty="0.004"), request("BUY", "LIMIT", "0.01", low)):
        engine.place(account, replace(wanted, symbol=BTC), now_ms)
    stop = request("SELL", "STOP_MARKET", "0.008", trigger=low, client_id="stop", reduce_only=True)
    engine.place_algo(account, replace(stop, symbol=BTC), now_ms)
    engine.transfer(account, D("-50"), now_ms)
    account.leverages[BTC] = 5
    engine.state.account(account)


def test_accounts_orders_and_money_survive_a_kill(started: Starts) -> None:
    """Otherwise a pipeline holds positions that its exchange has forgotten."""
    before = started()
    busy(before)
    after = started()
    assert after.engine.accounts == before.engine.accounts
    assert len(after.engine.accounts["sim-key"].orders.open) == 1
    assert len(after.engine.accounts["sim-key"].orders.open_algos) == 1


def test_prices_and_clock_go_on_as_if_it_had_never_stopped(started: Starts) -> None:
    """A jump of the price at each start would set off every stop."""
    before = started()
    before.clock.advance(3600)
    before.engine.state.clock()
    at_ms = before.clock.now_ms()
    after = started()
    assert at_ms <= after.clock.now_ms() <= at_ms + 60_000
    assert after.market.last(BTC, at_ms) == before.market.last(BTC, at_ms)


def test_what_was_reached_while_it_was_down_is_set_off_at_the_next_look(started: Starts) -> None:
    """The market has not waited."""
    before = started()
    busy(before)
    after = started(speed=100_000.0)
    account = after.engine.accounts["sim-key"]
    stop = account.orders.algos_by_client["stop"][0]
    fell_at = next(
        (
            at
            for at in range(after.clock.now_ms(), after.clock.now_ms() + 90 * 86_400_000, 3_600_000)
            if after.market.last(BTC, at) <= stop.trigger
        ),
        None,
    )
    assert fell_at is not None
    after.sweeper.advance(fell_at)
    assert not stop.is_open
    assert started().engine.accounts["sim-key"].orders.algos_by_client["stop"][0] == stop


def test_a_line_that_a_kill_has_cut_off_is_taken_away(started: Starts) -> None:
    """Nobody was answered for it; what is written next must stand on a line of its own."""
    before = started()
    busy(before)
    with started.file.open("a") as torn:
        torn.write('{"at_ms": 17')
    assert started().engine.accounts == before.engine.accounts
    assert started().engine.accounts == before.engine.accounts


def test_another_seed_or_a_damaged_file_is_refused_by_name(started: Starts) -> None:
    """An account's positions make no sense at other prices."""
    started()
    with pytest.raises(
        OptionsError, match=r"simulator.jsonl: it is of an exchange with other prices \(seed 3"
    ):
        started(seed=4)
    started.file.write_text('{"at_ms": 1, "wall_ms": 1, "of": "nobody", "order": {}}\n')
    with pytest.raises(OptionsError, match="cannot be read"):
        started()


def test_nobody_else_can_read_the_keys_that_it_keeps(started: Starts) -> None:
    """Whatever umask somebody's shell has."""
    before = os.umask(0o022)
    try:
        started()
    finally:
        os.umask(before)
    assert stat.S_IMODE(started.file.stat().st_mode) == 0o600
