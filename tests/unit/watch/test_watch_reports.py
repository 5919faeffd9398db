"""Reports, from what stands in a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from console.render.figures import PERFORMANCE, account, books, curve, performance
from pipeline.domain.decisions import Decision, Mode, Stage
from pipeline.domain.entries import Balance, Cause, Heading
from pipeline.domain.orders import Fill
from pipeline.domain.outcomes import EndReason
from pipeline.domain.positions import Equity, Income, book
from pipeline.domain.signals import Regime, Side, Signal, StrategyVerdict, VerdictKind
from pipeline.domain.timeframes import iso
from pipeline.execution.postings import of_income
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.statistics import By, Span
from pipeline.watch.chain_figures import ChainFigures, chain_figures
from pipeline.watch.performance import Group, Performance, performances
from tests.unit.ledger.ledger_worlds import (
    BTC,
    ETH,
    NOW,
    SECOND,
    a_decision,
    a_fill,
    a_permit,
    a_stage,
    an_order,
)

SPAN = Span(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1))
SIGNAL = Signal(
    side=Side.BUY,
    score=Decimal("0.8"),
    entry=Decimal(101),
    stop_loss=Decimal(99),
    take_profit=Decimal(105),
    reason="cheap",
    regime=Regime.RANGING,
)


@pytest.fixture
def ledger() -> Iterator[SqlLedger]:
    made = memory_ledger()
    yield made
    made.close()


def told(ledger: SqlLedger, by: By = By.STAGE, span: Span = SPAN) -> list[ChainFigures]:
    with ledger.read() as unit:
        return chain_figures(unit.statistics, span, by)


def performed(ledger: SqlLedger, group: Group = Group.ALL, span: Span = SPAN) -> list[Performance]:
    with ledger.read() as unit:
        return performances(unit.statistics, span, group)


def ended(ledger: SqlLedger, decision: Decision, reason: EndReason, ms: int = 10) -> Decision:
    """A decision with one stage of 2.25 ms, ended so long after it was enqueued."""
    with ledger.begin() as unit:
        unit.decisions.open(decision)
        unit.stages.add(a_stage(decision.decision_id))
        unit.decisions.end(
            decision.decision_id, reason, "", decision.enqueued_at + timedelta(milliseconds=ms)
        )
    return decision


def traded(ledger: SqlLedger, decision: Decision, *, strategy: str, bought: str, sold: str) -> None:
    """A position of 2 that was bought and sold again, for a fee of 1 each time."""
    verdict = StrategyVerdict(
        strategy=strategy,
        kind=VerdictKind.SIGNAL,
        regime=Regime.RANGING,
        signal=SIGNAL,
        chosen=True,
        run_ms=3.0,
    )
    permit = a_permit(decision)
    order = an_order(permit, sent_at=NOW)
    entry = a_fill(
        order,
        f"{decision.decision_id}-1",
        qty=Decimal(2),
        price=Decimal(bought),
        fee=Decimal(1),
        slippage_bps=Decimal(3),
        occurred_at=NOW + timedelta(milliseconds=40),
    )
    leaving = replace(
        entry,
        trade_id=f"{decision.decision_id}-2",
        side=Side.SELL,
        price=Decimal(sold),
        occurred_at=NOW + 60 * SECOND,
    )
    with ledger.begin() as unit:
        unit.decisions.open(decision)
        unit.verdicts.add(decision.decision_id, [verdict])
        unit.permits.add(permit)
        unit.orders.add(replace(order, sent_at=None))
        for fill in (entry, leaving):
            unit.fills.add(fill)
        unit.positions.save(_closed(entry, leaving, decision.mode))
        unit.decisions.end(decision.decision_id, EndReason.FILLED, "", decision.enqueued_at + SECOND)


def _closed(entry: Fill, leaving: Fill, mode: Mode):  # type: ignore[no-untyped-def]
    (opened,) = book(None, entry, mode)
    (closed,) = book(opened, leaving, mode)
    return closed


def test_decisions_are_counted_by_how_they_ended(ledger: SqlLedger) -> None:
    """Success is everything that may well happen; failed, rejected and expired are errors."""
    for number, reason in enumerate(
        [EndReason.NO_SIGNAL] * 6 + [EndReason.STAGE_RAISED, EndReason.NOT_STARTED]
    ):
        ended(ledger, a_decision(slot=NOW + number * SECOND), reason)
    with ledger.begin() as unit:
        unit.decisions.open(a_decision(ETH))

    (figures,) = told(ledger)

    assert figures.ends.outcomes == {"no_signal": 6, "failed": 1, "expired": 1, "open": 1}
    assert (figures.ends.ended, figures.ends.error_rate, figures.ends.success_rate) == (8, 0.25, 0.75)
    assert figures.by_symbol[ETH].ended == 0
    assert figures.by_symbol[BTC].reasons["NO_SIGNAL"] == 6


def test_latencies_come_by_stage_component_symbol_and_host(ledger: SqlLedger) -> None:
    """Which part of the chain is slow, where."""
    for number, ms in enumerate([10, 20, 30, 4000]):
        ended(ledger, a_decision(slot=NOW + number * SECOND), EndReason.NO_SIGNAL, ms)

    (figures,) = told(ledger)

    assert figures.total.percentile_ms(0.5) == 20
    assert figures.total.max_ms == 4000
    assert figures.parts["fetch"]["run"].percentile_ms(0.99) == pytest.approx(2.2, abs=0.11)
    assert figures.parts["fetch"]["wait"].as_record()["p50_ms"] == 1.5
    assert list(told(ledger, By.COMPONENT)[0].parts) == ["market"]
    assert list(told(ledger, By.SYMBOL)[0].parts) == [BTC]
    assert list(told(ledger, By.HOST)[0].parts) == ["alpha"]


def test_modes_never_mix(ledger: SqlLedger) -> None:
    """A paper profit beside a live loss is the oldest lie of this trade."""
    ended(ledger, a_decision(), EndReason.NO_SIGNAL)
    ended(ledger, a_decision(ETH, mode=Mode.LIVE, account="live-main"), EndReason.STAGE_RAISED)
    traded(ledger, a_decision(slot=NOW + SECOND), strategy="adaptive_ob", bought="100", sold="110")
    live = a_decision(ETH, slot=NOW + SECOND, mode=Mode.LIVE, account="live-main")
    traded(ledger, live, strategy="adaptive_ob", bought="100", sold="90")

    paper, real = told(ledger)
    profit, loss = performed(ledger)

    assert (paper.mode, paper.ends.error_rate) == (Mode.PAPER, 0.0)
    assert (real.mode, real.ends.error_rate) == (Mode.LIVE, 0.5)
    assert {each.mode: each.trades.net for each in (profit, loss)} == {
        Mode.PAPER: Decimal(18),
        Mode.LIVE: Decimal(-22),
    }
    only = Span(since=SPAN.since, until=SPAN.until, mode=Mode.LIVE)
    assert [each.mode for each in performed(ledger, span=only)] == [Mode.LIVE]


def test_trades_belong_to_the_strategy_that_opened_them(ledger: SqlLedger) -> None:
    """Profit after fees, 2 apiece here, by strategy, symbol or side."""
    traded(ledger, a_decision(), strategy="adaptive_ob", bought="100", sold="110")
    traded(ledger, a_decision(ETH), strategy="trend_follow", bought="100", sold="95")

    by_strategy = {each.group: each for each in performed(ledger, Group.STRATEGY)}

    assert by_strategy["adaptive_ob"].trades.net == Decimal(18)
    assert by_strategy["trend_follow"].trades.net == Decimal(-12)
    assert {each.group for each in performed(ledger, Group.SYMBOL)} == {BTC, ETH}
    assert [each.group for each in performed(ledger, Group.SIDE)] == ["buy", "sell"]
    (whole,) = performed(ledger)
    assert (whole.trades.win_rate, whole.trades.profit_factor) == (0.5, 1.5)


def test_fills_say_what_they_cost(ledger: SqlLedger) -> None:
    """Fees, slippage against the decision's price, time to the fill."""
    traded(ledger, a_decision(), strategy="adaptive_ob", bought="100", sold="110")

    (whole,) = performed(ledger)

    assert whole.fills.notional == Decimal(420)
    assert whole.fills.slippage_bps == Decimal(3)
    assert whole.fills.slippage_cost == Decimal("0.126")
    assert list(whole.fills.fees.values()) == [Decimal(2)]


def test_the_account_has_its_curve(ledger: SqlLedger) -> None:
    """Drawdown and ratios are of the account's equity, not of a strategy's trades."""
    with ledger.begin() as unit:
        for number, value in enumerate([1000, 1100, 990, 1200]):
            at = NOW + number * SECOND
            unit.equity.add(
                Equity(
                    account="paper:main",
                    mode=Mode.PAPER,
                    equity=Decimal(value),
                    available=Decimal(value),
                    unrealised_pnl=Decimal(value - 1000) / 4,
                    occurred_at=at,
                    recorded_at=at,
                )
            )

    (whole,) = performed(ledger)

    record = whole.as_record()
    assert record["max_drawdown"] == pytest.approx(0.1)
    assert record["return"] == pytest.approx(0.2)
    assert record["sharpe"] is None
    assert (record["equity_first"], record["equity_last"]) == ("1000", "1200")
    assert record["unrealised_at_mark_price"] == "50"
    assert record["curve"] == [
        {"at": iso(NOW + number * SECOND), "equity": value}
        for number, value in enumerate(["1000", "1100", "990", "1200"])
    ]
    assert whole.whole is not None
    assert curve(whole.whole.shown) == "▁▄▁█"
    assert list(account(whole.whole, "paper:main"))[1] == "  ▁▄▁█  990.00 to 1200.00"


def funded(ledger: SqlLedger, amount: str, symbol: str = BTC) -> None:
    row = Income(
        kind="FUNDING_FEE",
        income_id=symbol,
        symbol=symbol,
        trade_id="",
        amount=Decimal(amount),
        asset="USDT",
        occurred_at=NOW,
    )
    with ledger.begin() as unit:
        unit.journal.post(of_income(row, Cause.FUNDING, "paper:main", Mode.PAPER, NOW))


def test_funding_stands_beside_the_fees_of_account_and_symbol(ledger: SqlLedger) -> None:
    """E7. It is paid for a position, so no strategy is charged with it."""
    traded(ledger, a_decision(), strategy="adaptive_ob", bought="100", sold="110")
    funded(ledger, "-0.25")
    funded(ledger, "0.05", ETH)

    (whole,) = performed(ledger)
    assert whole.as_record()["money"] == {"USDT": {"funding": "-0.20"}}
    assert performance(whole)[PERFORMANCE.index("funding")] == "-0.20 USDT"
    assert [each.as_record()["money"] for each in performed(ledger, Group.SYMBOL)] == [
        {"USDT": {"funding": "-0.25"}}
    ]
    assert [each.money for each in performed(ledger, Group.STRATEGY)] == [{}]


def test_the_books_say_where_the_wallet_came_from() -> None:
    """One line that a person can add up."""
    told = Balance(
        account="paper:main",
        asset="USDT",
        amounts={
            Heading.CASH: Decimal("10006.5"),
            Heading.CAPITAL: Decimal(-10000),
            Heading.PROFIT: Decimal(-10),
            Heading.FEES: Decimal("3.25"),
            Heading.FUNDING: Decimal("0.25"),
        },
    )
    assert told.total == 0
    assert books(told) == (
        "  books: wallet 10006.50 USDT = paid in 10000.00 + profit 10.00 - fees 3.25 - funding 0.25"
    )
    assert told.as_record()["profit"] == "10"


def test_what_is_outside_the_span_does_not_count(ledger: SqlLedger) -> None:
    """`--since 1h` means it."""
    ended(ledger, a_decision(), EndReason.NO_SIGNAL)
    later = Span(since=NOW + SECOND, until=SPAN.until)

    assert told(ledger, span=later) == []
    assert performed(ledger, span=later) == []


def test_strategies_are_counted_by_their_answers(ledger: SqlLedger) -> None:
    """A strategy that always fails looks like one that never finds anything."""
    decision = a_decision()
    with ledger.begin() as unit:
        unit.decisions.open(decision)
        unit.stages.add(a_stage(decision.decision_id, Stage.EVALUATE))
        unit.verdicts.add(
            decision.decision_id,
            [
                StrategyVerdict(strategy="a", kind=VerdictKind.NO_SIGNAL, regime=Regime.RANGING, run_ms=2.0),
                StrategyVerdict(
                    strategy="b", kind=VerdictKind.FAILED, regime=Regime.RANGING, error="boom", run_ms=9.0
                ),
            ],
        )

    (figures,) = told(ledger)

    assert figures.strategies["a"].answers == {"no_signal": 1}
    assert figures.strategies["b"].as_record()["rates"] == {"failed": 1.0}
    assert figures.strategies["b"].took.max_ms == 9.0
