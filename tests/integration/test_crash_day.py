"""The day of the crash of October 2025, replayed: what the governor lets through while prices halve."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.request import Request, urlopen

import pytest

from config.loading import load
from console.stories import story
from pipeline.bootstrap import Pipeline
from pipeline.domain.decisions import Decision, Delivery, Origin, Stage
from pipeline.domain.ids import task_id
from pipeline.domain.instruments import plain
from pipeline.domain.orders import Order
from pipeline.domain.outcomes import Outcome
from pipeline.domain.switches import TradingState
from pipeline.stages.opening import PassRequest
from pipeline.trace.events import RecordedEvents
from tests.support.processes import ROOT
from tests.support.servers import RedisServer, Simulator

DATA = ROOT.parent / "shared" / "data"
pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded market data in {DATA}"),
]
START = datetime(2025, 10, 10, 20, 16, tzinfo=UTC)
BAR = timedelta(minutes=15)
STEP = timedelta(minutes=10)
STEPS = 14
SYMBOLS = ("BTC", "ETH", "BNB", "SOL", "LINK", "AVAX", "ADA", "XRP", "DOGE", "SUI", "ASTER", "FARTCOIN")


@dataclass
class RecordedTime:
    """The simulated exchange's clock, kept between two advances by our own."""

    url: str
    _told: datetime = field(default=START)
    _at: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        return self._told + timedelta(seconds=time.monotonic() - self._at)

    def advance(self, by: timedelta) -> None:
        body = json.dumps({"advance_s": by.total_seconds()}).encode()
        request = Request(f"{self.url}/_sim/clock", data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - our own address
        with urlopen(request, timeout=60):  # noqa: S310 - our own address
            self.synchronise()

    def synchronise(self) -> None:
        with urlopen(f"{self.url}/fapi/v1/time", timeout=60) as answer:  # noqa: S310 - our own address
            told = json.load(answer)["serverTime"]
        self._told, self._at = datetime.fromtimestamp(told / 1000, UTC), time.monotonic()


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Pipeline]:
    """The pipeline after two hours around the crash; from step to step one more symbol takes part."""
    simulator = Simulator("--data", str(DATA), "--start", START.isoformat())
    clock = RecordedTime(simulator.url)
    env = {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "REDIS_URL": redis_server.url,
        "SIMULATOR_URL": simulator.url,
        "EXCHANGE_API_KEY": "sim-key",
        "EXCHANGE_API_SECRET": "sim-secret",
        "UNIVERSE_SYMBOLS": ",".join(f"{base}USDT" for base in SYMBOLS),
        "MARKET_TIMEFRAMES": "15m,30m,1h",
        "MARKET_BARS": "200",
        "MARKET_WAIT_FOR_BARS_S": "30",  # no worker here that could come again
        "STRATEGIES_FOLDER": str(ROOT / "tests" / "support" / "strategies"),
        "STRATEGIES_ENABLED": "always_buys,adaptive_ob",
        "GOVERNOR_MAX_POSITIONS": "12",
        "CHAIN_PROTECT_WITHIN_S": "0",  # ten minutes of the market pass right behind the last entry of a step
    }
    settings = load(env={f"THROUGHLINE_{name}": value for name, value in env.items()})
    pipeline = Pipeline(settings, clock=clock, events=RecordedEvents())
    pipeline.ledger.migrate()
    with pipeline.ledger.begin() as unit:
        unit.switches.set_trading_state(
            pipeline.account, TradingState.ACTIVE, by="test", reason="replay", at=clock.now()
        )
    clock.synchronise()
    for step in range(STEPS):
        upkeep(pipeline)
        for base in SYMBOLS[: step + 1]:
            passed(pipeline, f"{base}/USDT:USDT")
        clock.advance(STEP)
    yield pipeline
    pipeline.ledger.close()
    simulator.stop()


def upkeep(pipeline: Pipeline) -> None:
    """What beat sends: after ten minutes all of it is due."""
    pipeline.exchange.clock_offset()
    pipeline.universe_keeper.check()
    pipeline.refresh_equity()
    pipeline.resolver.resolve(pipeline.account)
    pipeline.protector.cycle()
    pipeline.safeguarding.reconcile()


def passed(pipeline: Pipeline, symbol: str) -> None:
    """One decision through its stages, one after another."""
    now = pipeline.clock.now()
    decision = pipeline.open(PassRequest.manual(symbol, now, Origin.PYTHON)).decision
    stage: Stage | None = Stage.FETCH
    while stage is not None and decision.is_open:
        handoff = pipeline.runner.run(stage, decision.decision_id, _delivery(decision, stage, now))
        stage = handoff.stage if handoff else None


def _delivery(decision: Decision, stage: Stage, now: datetime) -> Delivery:
    return Delivery(
        task_id=task_id(decision.decision_id, stage), host="here", worker="replay", pid=1, attempt=1,
        received_at=now, published_at=now,
    )  # fmt: skip


@dataclass(frozen=True)
class Bar:
    opened: datetime
    high: Decimal
    low: Decimal
    close: Decimal


def bars(symbol: str) -> list[Bar]:
    """The recording itself, read without any of our code."""
    with (DATA / f"{plain(symbol)}_15m.csv").open(newline="") as file:
        return [
            Bar(
                datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC),
                Decimal(row["high"]),
                Decimal(row["low"]),
                Decimal(row["close"]),
            )
            for row in csv.DictReader(file)
        ]


def orders(pipeline: Pipeline) -> list[Order]:
    """Those that somebody wanted: a stop and a target are meant to be far from the price."""
    with pipeline.ledger.read() as unit:
        return [each for each in unit.orders.latest(limit=1000) if not each.leg.guards]


def decisions(pipeline: Pipeline) -> list[Decision]:
    with pipeline.ledger.read() as unit:
        return list(unit.decisions.latest(limit=1000))


def test_no_order_is_outside_its_collar(replayed: Pipeline) -> None:
    """Measured against the recording: the bar in which it was sent, and 2 % around it."""
    made = orders(replayed)
    assert len(made) >= 5
    for order in made:
        (bar,) = [each for each in bars(order.symbol) if each.opened <= order.created_at < each.opened + BAR]
        assert bar.low * Decimal("0.98") <= order.limit_price <= bar.high * Decimal("1.02"), order


def test_no_order_is_made_on_a_stale_or_an_open_bar(replayed: Pipeline) -> None:
    """The decision price is the close of a recorded bar that had closed, no more than two bars before."""
    for order in orders(replayed):
        closes = {each.close: each.opened + BAR for each in bars(order.symbol)}
        closed = max(
            each.opened + BAR
            for each in bars(order.symbol)
            if each.close == order.decision_price and each.opened + BAR <= order.created_at
        )
        assert order.decision_price in closes
        assert order.created_at - closed <= 2 * BAR


def test_every_denial_is_explained_by_its_trace(replayed: Pipeline) -> None:
    """Which rule, which value, which limit; and what was denied sent nothing."""
    denied = [each for each in decisions(replayed) if each.outcome is Outcome.BLOCKED]
    assert denied
    for decision in denied:
        told = story(replayed.ledger, decision.decision_id)
        checks = {check["code"]: check for check in v_rows(told["checks"])}
        reason = checks[str(decision.reason)]
        assert not reason["ok"]
        assert reason["value"]
        assert reason["limit"]
        assert told["orders"] == []


def v_rows(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def test_the_crash_itself_is_what_denies(replayed: Pipeline) -> None:
    """With prices down by half within one bar nobody knows what they are worth."""
    after = datetime(2025, 10, 10, 21, 30, tzinfo=UTC)
    with replayed.ledger.read() as unit:
        blocked = [each for each in unit.decisions.latest(limit=1000) if each.outcome is Outcome.BLOCKED]
        said = [unit.verdicts.checks_of(each.decision_id) for each in blocked if each.slot >= after]
    codes = {str(check.code) for checks in said for check in checks if not check.ok}
    assert "DATA_JUMP" in codes


def test_stops_carried_the_positions_out_of_the_crash(replayed: Pipeline) -> None:
    """Each exit of the day was a stop or a target on the exchange, and what is still held has its stop there."""
    with replayed.ledger.read() as unit:
        held = unit.positions.latest(limit=1000)
        closers = [unit.decisions.get(each.closed_by) for each in held if each.closed_by is not None]
        resting = {each.symbol for each in unit.orders.unsettled(replayed.account) if each.waits}
        marks = unit.guards.marks(replayed.account)
        equity = unit.equity.latest(replayed.account)
    assert {each.symbol for each in held if each.is_open} <= resting
    stopped = [each for each in closers if each is not None and each.origin is Origin.STOP]
    assert len(stopped) >= 5
    assert marks is not None
    assert equity is not None
    assert equity.equity > marks.day_start * Decimal("0.97")


def test_every_decision_of_the_day_has_ended(replayed: Pipeline) -> None:
    """Also the ones in the middle of the crash."""
    assert [each.decision_id for each in decisions(replayed) if each.is_open] == []
