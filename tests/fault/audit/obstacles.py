"""What stood between a position and its stop that nobody of ours could help: told by the exchange's journal where the
exchange did it, by the run where the run did.

Each is over at a known instant. From then on a position has one cycle to get its stop, or to meet the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.fault.audit.evidence import Accident, Evidence, Row
from tests.fault.audit.protection import Spell, bare_spells

NEEDED = frozenset(
    {
        ("POST", "/fapi/v1/algoOrder"),
        ("GET", "/fapi/v1/algoOrder"),
        ("GET", "/fapi/v1/order"),
        ("GET", "/fapi/v1/userTrades"),
    }
)
"""What is asked about one symbol on the way to its stop: placing it, what became of it or of the entry, and the entry's
trades, without which nobody knows what to protect."""
HARMLESS = frozenset({"repeated_fills", "partial_fill", "malformed_candles"})
STOP_EVERYBODY = frozenset({"http_429", "http_418", "code_1003", "code_1015"})
"""Whoever is told so, nobody of ours asks anything for as long as it says."""


@dataclass(frozen=True)
class Obstacle:
    """In the way of one symbol's stop, of all when `symbol` is empty, from one instant to the other."""

    symbol: str
    since: datetime
    until: datetime

    def concerns(self, spell: Spell) -> bool:
        return self.symbol in {"", spell.symbol}


def unhindered_spells(on: Evidence) -> Iterator[tuple[Spell, float]]:
    """Each spell without a stop, and how long of it nothing was in the way."""
    all_obstacles = obstacles(on.journal, on.accidents)
    return ((spell, unhindered_s(spell, all_obstacles)) for spell in bare_spells(on.journal))


def obstacles(journal: Iterable[Row], accidents: Iterable[Accident]) -> list[Obstacle]:
    """All of them, by their beginning."""
    found = [
        *_of_the_exchange(journal),
        *(Obstacle(each.symbol, each.since, each.until) for each in accidents),
    ]
    return sorted(found, key=lambda each: each.since)


def unhindered_s(spell: Spell, all_obstacles: Sequence[Obstacle]) -> float:
    """The longest part of a spell in which nothing was in the way, in seconds."""
    longest, free_since = timedelta(0), spell.since
    for each in all_obstacles:
        if each.concerns(spell) and each.since < spell.until and each.until > free_since:
            longest = max(longest, each.since - free_since)
            free_since = each.until
    return max(longest, spell.until - free_since).total_seconds()


def _of_the_exchange(journal: Iterable[Row]) -> Iterator[Obstacle]:
    """Each fault that struck what a stop needs: from its strike until the request was over, answered or not."""
    struck: dict[str, datetime] = {}
    for entry in journal:
        at = datetime.fromisoformat(entry["at"])
        if entry["kind"] == "fault" and entry["fault"] in STOP_EVERYBODY:
            yield Obstacle("", at, at + timedelta(seconds=float(entry["args"]["retry_after_s"])))
        elif entry["kind"] == "fault" and _is_in_the_way(entry):
            struck[_call(entry)] = at
        elif entry["kind"] == "request" and (since := struck.pop(_call(entry), None)) is not None:
            yield Obstacle(entry["params"].get("symbol", ""), since, at)


def _is_in_the_way(fault: Row) -> bool:
    return (fault["method"], fault["path"]) in NEEDED and fault["fault"] not in HARMLESS


def _call(entry: Row) -> str:
    """Which request it is about: they are signed with their time."""
    return json.dumps([entry["method"], entry["path"], entry["params"]], sort_keys=True)
