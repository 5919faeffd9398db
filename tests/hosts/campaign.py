"""The long form: hosts cut off, slowed, killed, forgotten by their firewall, again and again, while decisions flow."""

from __future__ import annotations

from collections import Counter

from tests.fault.accidents import during
from tests.fault.campaigns import Plan, Tally
from tests.hosts.world import World, hosts
from tests.support.servers import Unavailable

ACCIDENTS = ("cut off", "hears nothing", "is not heard", "slow", "without power", "connections forgotten")
SYMBOLS = 30
ROUNDS = 24
LASTS_S = (2.0, 15.0)
GOES_ON_S = 30.0


def accidents(plan: Plan) -> Tally:
    """Each accident as often as the others, in an order that the seed draws; after each the orders go on."""
    tally = Tally("hosts", plan.seed, "PostgreSQL")
    try:
        with hosts(seed=plan.seed, symbols=SYMBOLS) as world:
            world.start("b", "c")
            _rage(world, plan, tally.injected)
            with world.no_new_slots():
                world.on.drain(180)
                tally.close(world.on.evidence())
            if tally.found:
                world.on.keep(f"{tally.part}-{tally.seed}")
    except Unavailable as reason:
        tally.skipped = str(reason)
    return tally


def _rage(world: World, plan: Plan, injected: Counter[str]) -> None:
    dice = plan.dice()
    todo = [ACCIDENTS[number % len(ACCIDENTS)] for number in range(plan.share(ROUNDS))]
    dice.shuffle(todo)
    for accident in todo:
        host = dice.choice(sorted(world.network.hosts))
        happen(world, accident, host)
        during(dice.uniform(*LASTS_S), world.flow)
        mend(world, accident, host)
        injected[accident] += 1
        plan.say(f"hosts: {host} {accident}; {world.executed()} executed")
        world.await_executed(3, GOES_ON_S)


def happen(world: World, accident: str, host: str) -> None:
    match accident:
        case "cut off":
            world.network.cut(host)
        case "hears nothing":
            world.network.cut(host, fro=False)
        case "is not heard":
            world.network.cut(host, to=False)
        case "slow":
            world.network.slow(host, 0.4)
        case "connections forgotten":
            world.network.forget()
        case _:
            world.kill(host)


def mend(world: World, accident: str, host: str) -> None:
    world.network.heal()
    if accident == "without power":
        world.start(host)
