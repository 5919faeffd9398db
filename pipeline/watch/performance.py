"""How trading performed in a span: trades, fills and the equity curve, by mode and account, never mixed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.decisions import Mode
from pipeline.domain.timeframes import iso
from pipeline.ledger.statistics import ClosedRow, FillRow, Span, SqlStatistics
from pipeline.trace.records import number
from pipeline.watch.figures import (
    Drawdown,
    Point,
    Ratios,
    Trade,
    TradeFigures,
    max_drawdown,
    ratios,
    trade_figures,
)


@unique
class Group(StrEnum):
    """What trades are divided by, inside a mode and an account."""

    ALL = "all"
    STRATEGY = "strategy"
    SYMBOL = "symbol"
    SIDE = "side"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillFigures:
    """What fills cost. `slippage_bps` is worse than the decision's price, weighted by notional."""

    fills: int
    notional: Decimal
    fees: dict[str, Decimal]
    slippage_bps: Decimal | None
    slippage_cost: Decimal
    mean_execution_ms: float | None

    def as_record(self) -> dict[str, object]:
        return {
            "fills": self.fills,
            "notional": number(self.notional),
            "fees": {asset: number(fee) for asset, fee in self.fees.items()},
            "slippage_bps": _rounded(self.slippage_bps, 4),
            "slippage_cost": _rounded(self.slippage_cost, 8),
            "mean_execution_ms": self.mean_execution_ms,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One group of one account's trades. Drawdown and ratios are the whole account's, and only there (`all`)."""

    mode: Mode
    account: str
    group: str
    trades: TradeFigures
    fills: FillFigures
    drawdown: Drawdown | None
    ratios: Ratios | None
    equity: tuple[Point, Point] | None

    def as_record(self) -> dict[str, object]:
        record: dict[str, object] = {
            "mode": self.mode.value,
            "account": self.account,
            "group": self.group,
            **trades_record(self.trades),
            **self.fills.as_record(),
        }
        if self.equity is not None and self.drawdown is not None and self.ratios is not None:
            record |= _account_record(self.equity, self.drawdown, self.ratios)
        return record


def trades_record(told: TradeFigures) -> dict[str, object]:
    """Trades as plain JSON: money as text, rates as fractions."""
    return {
        "trades": told.trades,
        "wins": told.wins,
        "losses": told.losses,
        "win_rate": told.win_rate,
        "net": number(told.net),
        "trade_fees": number(told.fees),
        "gross_profit": number(told.gross_profit),
        "gross_loss": number(told.gross_loss),
        "profit_factor": told.profit_factor,
        "expectancy": _rounded(told.expectancy, 8),
        "best": number(told.best),
        "worst": number(told.worst),
        "mean_holding_s": told.mean_holding_s,
    }


def _account_record(equity: tuple[Point, Point], drawdown: Drawdown, told: Ratios) -> dict[str, object]:
    first, last = equity
    return {
        "equity_first": number(first.equity),
        "equity_last": number(last.equity),
        "return": float(last.equity / first.equity) - 1 if first.equity > 0 else None,
        "max_drawdown": drawdown.fraction,
        "max_drawdown_amount": number(drawdown.amount),
        "max_drawdown_from": iso(drawdown.peak_at),
        "max_drawdown_to": iso(drawdown.trough_at),
        "sharpe": told.sharpe,
        "sortino": told.sortino,
        "sampled_every_s": told.every.total_seconds(),
        "returns": told.returns,
    }


def _rounded(value: Decimal | None, places: int) -> str | None:
    return None if value is None else number(round(value, places))


def performances(statistics: SqlStatistics, span: Span, group: Group = Group.ALL) -> list[Performance]:
    """One for each mode, account and group that traded or had equity in the span. Raises: LedgerUnavailable."""
    closed: dict[_Key, list[ClosedRow]] = defaultdict(list)
    for row in statistics.closed(span):
        closed[_key(row, group)].append(row)
    filled: dict[_Key, list[FillRow]] = defaultdict(list)
    for fill in statistics.fills(span):
        filled[_key(fill, group)].append(fill)
    curves = _curves(statistics, span) if group is Group.ALL and span.symbol is None else {}
    keys = {*closed, *filled, *((mode, account, Group.ALL.value) for mode, account in curves)}
    return [_performance(key, closed[key], filled[key], curves.get(key[:2], [])) for key in sorted(keys)]


_Key = tuple[Mode, str, str]


def _key(row: ClosedRow | FillRow, group: Group) -> _Key:
    name = {
        Group.ALL: Group.ALL.value,
        Group.STRATEGY: row.strategy or "(none)",
        Group.SYMBOL: row.symbol,
        Group.SIDE: row.side.value,
    }[group]
    return row.mode, row.account, name


def _curves(statistics: SqlStatistics, span: Span) -> dict[tuple[Mode, str], list[Point]]:
    curves: dict[tuple[Mode, str], list[Point]] = defaultdict(list)
    for row in statistics.equity(span):
        curves[row.mode, row.account].append(Point(row.occurred_at, row.equity))
    return curves


def _performance(
    key: _Key, closed: Sequence[ClosedRow], filled: Sequence[FillRow], curve: Sequence[Point]
) -> Performance:
    mode, account, group = key
    return Performance(
        mode=mode,
        account=account,
        group=group,
        trades=trade_figures([trade_of(row) for row in closed]),
        fills=fill_figures(filled),
        drawdown=max_drawdown(curve) if curve else None,
        ratios=ratios(curve) if curve else None,
        equity=(curve[0], curve[-1]) if curve else None,
    )


def trade_of(row: ClosedRow) -> Trade:
    """A closed position as a trade: its profit less all of its fees."""
    return Trade(
        net=row.realised_pnl - row.fees, fees=row.fees, opened_at=row.opened_at, closed_at=row.closed_at
    )


def fill_figures(fills: Sequence[FillRow]) -> FillFigures:
    """What these fills cost.

    Slippage is the distance from the price that the decision saw to the fill's, positive where worse (Perold, "The
    Implementation Shortfall", 1988, without its opportunity cost); a mean of it is weighted by notional.
    """
    notional = sum((fill.qty * fill.price for fill in fills), Decimal(0))
    slipped = sum((fill.qty * fill.price * fill.slippage_bps for fill in fills), Decimal(0))
    fees: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        fees[fill.fee_asset] += fill.fee
    times = [_execution_ms(fill.sent_at, fill.occurred_at) for fill in fills if fill.sent_at is not None]
    return FillFigures(
        fills=len(fills),
        notional=notional,
        fees=dict(fees),
        slippage_bps=slipped / notional if notional else None,
        slippage_cost=slipped / 10_000,
        mean_execution_ms=sum(times) / len(times) if times else None,
    )


def _execution_ms(sent_at: datetime, filled_at: datetime) -> float:
    """Two clocks: theirs may be a little behind ours."""
    return max(0.0, (filled_at - sent_at).total_seconds() * 1000)
