"""The exchange's REST side misbehaves: no decision sees a wrong or stale bar, each says what was missing, all heals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

import pytest
import requests

from pipeline.domain.decisions import Decision
from pipeline.domain.outcomes import EndReason
from pipeline.strategies.window import Window
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.waiting import eventually
from tests.unit.market.candle_worlds import as_rows

FRAMES = ("1m", "5m", "15m")
SICK = "BTC/USDT:USDT"
OTHERS = tuple(f"{base}/USDT:USDT" for base in ("ETH", "SOL", "XRP", "ADA", "DOGE", "BNB", "LINK", "DOT"))
KLINES = "/fapi/v1/klines"
SETTINGS = {
    "UNIVERSE_SYMBOLS": ",".join((SICK, *OTHERS)),
    "EXCHANGE_PUBLIC_TIMEOUT_S": "3",
    "CHAIN_SKIP_UNCHANGED": "false",
    "MARKET_WAIT_FOR_BARS_S": "0.1",
}
AFTER_S = 30.0
"""So long after a fault everything has to be well again."""

FAULTS: Sequence[Mapping[str, object]] = [
    {"kind": "http_503_unknown"},
    {"kind": "http_429", "retry_after_s": 1},
    {"kind": "http_418", "retry_after_s": 1},
    {"kind": "reset_before"},
    {"kind": "empty_body"},
    {"kind": "html_body"},
    {"kind": "wrong_json"},
    *(
        {"kind": "malformed_candles", "flavour": each}
        for each in ("nan", "negative", "high_below_low", "off_grid")
    ),
    {"kind": "malformed_candles", "flavour": "missing"},
]
HARMLESS: Sequence[Mapping[str, object]] = [
    {"kind": "malformed_candles", "flavour": "shuffled"},
    {"kind": "malformed_candles", "flavour": "duplicate"},
]


def named(fault: Mapping[str, object]) -> str:
    return f"{fault['kind']}-{fault.get('flavour', '')}".rstrip("-")


@pytest.fixture(scope="module")
def running() -> Iterator[ChainProcesses]:
    """One worker with one child for fetch and evaluate: whoever holds it, holds everybody."""
    with chain_processes(("--seed", "7"), **SETTINGS) as chain:
        chain.start_worker("market")
        yield chain


@pytest.fixture
def chain(running: ChainProcesses) -> Iterator[ChainProcesses]:
    """No fault, and every candle in the store."""
    running.simulator.calm()
    for symbol in (SICK, *OTHERS):
        eventually(lambda symbol=symbol: window(running, symbol).ok, 30)  # type: ignore[misc]  # bound at once
    yield running
    running.simulator.calm()


def window(chain: ChainProcesses, symbol: str = SICK) -> Window:
    return chain.pipeline.windows.window(symbol, FRAMES, chain.pipeline.exchange.now(), 200)


def forget(chain: ChainProcesses, symbol: str = SICK) -> None:
    """Its candles are gone from the store, and nobody remembers what failed."""
    redis = chain.pipeline.redis
    keys = [chain.pipeline.candles.key(symbol, frame) for frame in FRAMES]
    redis.delete(*keys, *redis.keys("tl:asking:*"))


def ended_at(decision: Decision) -> datetime:
    assert decision.ended_at is not None
    return decision.ended_at


def truth(chain: ChainProcesses, frame: str, first_ms: int, count: int) -> list[list[float]]:
    """What the exchange itself has."""
    question = {"symbol": "BTCUSDT", "interval": frame, "startTime": str(first_ms), "limit": str(count)}
    rows = requests.get(chain.simulator.url + KLINES, question, timeout=60).json()
    return [[float(value) for value in row[:6]] for row in rows]


def test_a_symbol_that_never_answers_holds_nobody_up(chain: ChainProcesses) -> None:
    """One dead symbol must not make every other one late: its question goes on without the worker's only child."""
    chain.passes(OTHERS)
    forget(chain)
    chain.simulator.fault("timeout_before", endpoint=KLINES, symbol="BTCUSDT")
    before = len(chain.simulator.requests(KLINES))
    sick, *others = chain.passes((SICK, *OTHERS))
    last = max(ended_at(each) for each in others)
    assert last < ended_at(sick), "asked for after it, over before its question is given up"
    assert (sick.outcome, sick.reason) == ("skipped", EndReason.INSUFFICIENT_DATA)
    for frame in FRAMES:
        assert f"{frame}=missing" in sick.detail
    assert "TimeoutError" in sick.detail
    assert len(chain.simulator.requests(KLINES)) - before <= len(FRAMES), (
        "asked once, however often it came back"
    )


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_bars_that_cannot_be_had_or_trusted_are_named_and_had_again_when_the_fault_is_over(
    chain: ChainProcesses, fault: Mapping[str, object]
) -> None:
    """A wrong bar costs money, a missing one a pass; and nobody may have to repair anything by hand."""
    forget(chain)
    chain.simulator.fault(**{"endpoint": KLINES, **fault})  # type: ignore[arg-type]  # its kind is among them
    (decision,) = chain.passes((SICK,))
    assert (decision.outcome, decision.reason) == ("skipped", EndReason.INSUFFICIENT_DATA), decision.detail
    for frame in FRAMES:
        assert f"{frame}=missing" in decision.detail or f"{frame}=short" in decision.detail
    assert only_true_bars(chain)
    chain.simulator.calm()
    eventually(partial(is_judged, chain), AFTER_S, "a pass over whole candles again")
    assert only_true_bars(chain)


@pytest.mark.parametrize("fault", HARMLESS, ids=named)
def test_bars_in_disorder_are_put_in_order(chain: ChainProcesses, fault: Mapping[str, object]) -> None:
    """Nothing is wrong with the bars themselves: no pass need be lost."""
    forget(chain)
    chain.simulator.fault(**{"endpoint": KLINES, **fault})  # type: ignore[arg-type]  # its kind is among them
    assert is_judged(chain)
    assert only_true_bars(chain)


def is_judged(chain: ChainProcesses) -> bool:
    """Whether a pass gets as far as the strategies, which see nothing in it."""
    (decision,) = chain.passes((SICK,))
    return decision.reason is EndReason.NO_SIGNAL


def only_true_bars(chain: ChainProcesses) -> bool:
    """Whether every stored bar is one that the exchange has, value for value."""
    chain.simulator.control("DELETE", "/_sim/faults")
    for frame, candles in chain.pipeline.candles.read(SICK, FRAMES).items():
        rows = as_rows(candles)
        if rows:
            step = candles.open_time[-1] - candles.open_time[0]
            true = truth(chain, frame, int(rows[0][0]), 1 + round(step / candles_step(frame)))
            assert [row for row in true if row in rows] == rows
    return True


def candles_step(frame: str) -> int:
    return {"1m": 60_000, "5m": 300_000, "15m": 900_000}[frame]
