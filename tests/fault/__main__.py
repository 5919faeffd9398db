"""`make faults`: the long form. Prints what it injects, ends with a table, and exits 1 on a violation.

python -m tests.fault [--part kills --part redis …] [--seed N] [--scale 0.1]
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, zip_longest

from tests.fault import campaigns
from tests.fault.campaigns import Plan, Tally
from tests.fault.pieces import Progress, run, work_in_memory
from tests.hosts.campaign import accidents

PARTS = {**campaigns.PARTS, "hosts": (accidents,)}

AT_ONCE = 2
"""Pieces side by side: most of what they do is waiting, for a dead process to be missed or a frozen one to thaw."""


def main() -> int:
    """0 when nothing was violated, 1 otherwise."""
    arguments = parser().parse_args()
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    say = Progress(time.monotonic())
    say(f'seed {seed}; the same accidents again: ARGS="--seed {seed}" (their moments depend on the machine)')
    pieces = interleaved([PARTS[name] for name in arguments.part or PARTS])
    plan = Plan(seed, arguments.scale, say)
    with ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("spawn"), work_in_memory) as pool:
        tallies = list(pool.map(run, pieces, [plan] * len(pieces)))
    sys.stdout.write("\n".join(table(tallies)) + "\n")
    say("over")
    return 1 if any(tally.found or tally.broke for tally in tallies) else 0


def interleaved(parts: Sequence[Sequence[Callable[[Plan], Tally]]]) -> list[Callable[[Plan], Tally]]:
    """The first piece of each part, then the second of each: what computes beside what waits."""
    return [piece for piece in chain.from_iterable(zip_longest(*parts)) if piece is not None]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="make faults", description="The long form of the fault suite.")
    made.add_argument("--part", action="append", choices=list(PARTS), help="only this one; may be repeated")
    made.add_argument("--seed", type=int, help="of all dice (default: another one each time)")
    made.add_argument("--scale", type=float, default=1.0, help="how much of everything (default: 1)")
    return made


def table(tallies: Sequence[Tally]) -> list[str]:
    """What was done, what was injected, what was found."""
    head = ("part", "ledger", "decisions", "through the chain", "under faults", "sent", "accepted", "fills")
    lines = ["", f"| {' | '.join(head)} | accidents | violations |", "|---" * (len(head) + 2) + "|"]
    lines += [
        f"| {each.part} | {each.ledger} | {sum(each.outcomes.values())} | {each.passes} | {each.under_faults} "
        f"| {each.sent} | {each.accepted} | {each.fills} | {sum(each.injected.values())} | {each.verdict} |"
        for each in tallies
    ]
    injected = sum((each.injected for each in tallies), Counter())
    outcomes = sum((each.outcomes for each in tallies), Counter())
    lines += ["", "| injected | times |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(injected.items())]
    return [*lines, "", *sums(tallies, injected, outcomes)]


def sums(tallies: Sequence[Tally], injected: Counter[str], outcomes: Counter[str]) -> list[str]:
    """The figures that the suite promises."""

    def at_points(word: str) -> int:
        return sum(count for name, count in injected.items() if name.startswith(f"{word} at "))

    under, passes = sum(each.under_faults for each in tallies), sum(each.passes for each in tallies)
    sent, accepted = sum(each.sent for each in tallies), sum(each.accepted for each in tallies)
    found, broke = sum(len(each.found) for each in tallies), sum(bool(each.broke) for each in tallies)
    killed, flushed = injected["Redis killed"], injected["Redis flushed"]
    bare = max(each.longest_bare_s for each in tallies)
    free = max(each.longest_unhindered_s for each in tallies)
    ended = ", ".join(f"{name} {count}" for name, count in outcomes.most_common())
    return [
        f"{at_points('KILL')} kills and {at_points('STOP')} freezes at named points",
        f"Redis killed {killed} times and emptied {flushed} times",
        f"{under} decisions opened while the exchange had faults, {injected['seeds']} bad days among them",
        f"{sum(outcomes.values())} decisions in all, {passes} through the chain, the others exits; ended as {ended}",
        f"{sent} orders sent, {accepted} accepted by the exchange",
        f"no position was without its stop for longer than {bare:.1f} s, with nothing in the way for {free:.1f} s",
        f"one cycle took up to {max(each.one_cycle_s for each in tallies):.1f} s, as busy as the machine was",
        f"{found} violations; {broke} pieces could not be finished",
    ]


if __name__ == "__main__":
    sys.exit(main())
