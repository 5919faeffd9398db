"""Processes that start the same thing at the same instant, each with its own connection to the ledger."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from pipeline.ledger.sql import SqlLedger

RACERS = 8
PATIENCE_S = 60.0

STORES = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))
"""A fixture's parameters: see `migrated`."""

Move = Callable[[SqlLedger, int, int], Any]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pipeline.ledger.sql", "tests.integration.test_ledger_races"])


def migrated(request: pytest.FixtureRequest, folder: Path) -> str:
    """The address of a new ledger, of the parameter's kind, that several processes can reach."""
    sqlite = f"sqlite:///{folder / 'ledger.sqlite3'}"
    url = sqlite if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    ledger = SqlLedger(url)
    ledger.migrate()
    ledger.close()
    return url


def race(url: str, move: Move, rounds: int, racers: int = RACERS) -> list[list[Any]]:
    """Every racer makes `move(ledger, racer, round)` in every round; the answers by round, in no order."""
    barrier, answers = _context.Barrier(racers), _context.Queue()
    arguments = [(url, move, rounds, racer, barrier, answers) for racer in range(racers)]
    with _running([_context.Process(target=_run, args=each, daemon=True) for each in arguments]):
        told = [_next(answers) for _ in range(racers * rounds)]
    return [[answer for number, answer in told if number == turn] for turn in range(rounds)]


def _next(answers: Any) -> tuple[int, Any]:
    try:
        number, answer = answers.get(timeout=PATIENCE_S)
    except Empty:
        raise AssertionError("a racer died or hangs") from None
    return number, answer


def _run(url: str, move: Move, rounds: int, racer: int, barrier: Barrier, answers: Any) -> None:
    ledger = SqlLedger(url, busy_timeout_s=PATIENCE_S)
    for turn in range(rounds):
        barrier.wait(PATIENCE_S)
        try:
            answers.put((turn, move(ledger, racer, turn)))
        except Exception as error:  # noqa: BLE001 - the test shows it
            answers.put((turn, repr(error)))
    ledger.close()


@contextmanager
def _running(processes: list[Any]) -> Iterator[None]:
    for process in processes:
        process.start()
    try:
        yield
        for process in processes:
            process.join(PATIENCE_S)
    finally:
        for process in processes:
            process.kill()
            process.join()
            process.close()
