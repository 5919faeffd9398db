"""How trading performed in a span: trades, fills and the equity curve, by mode and account, never mixed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.decisions import Mode
from pipeline.domain.entries import Heading
from pipeline.domain.timeframes import iso
from pipeline.ledger.statistics import ClosedRow, EquityRow, FillRow, Span, SqlStatistics
from pipeline.trace.records import number
from pipeline.watch.figures import (
    Drawdown,
    Point,
    Ratios,
    Trade,
    TradeFigures,
    max_drawdown,
    ratios,
    thinned,
    trade_figures,
)

MOST_POINTS = 60
"""Of an equity curve that is shown."""


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
class AccountFigures:
    """What only a whole account has. `curve` is oldest first; `unrealised` is the profit of open positions at the
    exchange's mark price, when the curve ends.
    """

    curve: Sequence[Point]
    unrealised: Decimal
    drawdown: Drawdown
    ratios: Ratios

    @classmethod
    def of(cls, rows: Sequence[EquityRow]) -> AccountFigures:
        curve = [Point(row.occurred_at, row.equity) for row in rows]
        return cls(
            curve=curve,
            unrealised=rows[-1].unrealised_pnl,
            drawdown=max_drawdown(curve),
            ratios=ratios(curve),
        )

    @property
    def shown(self) -> Sequence[Point]:
        """The curve in as many points as a line or a page takes."""
        return thinned(self.curve, MOST_POINTS)

    def as_record(self) -> dict[str, object]:
        first, last = self.curve[0], self.curve[-1]
        return {
            "equity_first": number(first.equity),
            "equity_last": number(last.equity),
            "unrealised_at_mark_price": number(self.unrealised),
            "return": float(last.equity / first.equity) - 1 if first.equity > 0 else None,
            "max_drawdown": self.drawdown.fraction,
            "max_drawdown_amount": number(self.drawdown.amount),
            "max_drawdown_from": iso(self.drawdown.peak_at),
            "max_drawdown_to": iso(self.drawdown.trough_at),
            "sharpe": self.ratios.sharpe,
            "sortino": self.ratios.sortino,
            "sampled_every_s": self.ratios.every.total_seconds(),
            "returns": self.ratios.returns,
            "curve": [{"at": iso(each.at), "equity": number(each.equity)} for each in self.shown],
        }


Money = Mapping[str, Mapping[Heading, Decimal]]
"""By asset: what the books have under each heading; negative where money came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One group of one account's trades. `whole` is only in the report over all of an account; `money` where an entry
    can be told to belong to the group: over all, and by symbol.
    """

    mode: Mode
    account: str
    group: str
    trades: TradeFigures
    fills: FillFigures
    money: Money
    whole: AccountFigures | None

    def as_record(self) -> dict[str, object]:
        record: dict[str, object] = {
            "mode": self.mode.value,
            "account": self.account,
            "group": self.group,
            **trades_record(self.trades),
            **self.fills.as_record(),
            "money": {
                asset: {heading.value: number(-amount) for heading, amount in sorted(amounts.items())}
                for asset, amounts in sorted(self.money.items())
            },
        }
        return record if self.whole is None else record | self.whole.as_record()


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
    money = _money(statistics, span, group)
    curves = _curves(statistics, span) if group is Group.ALL and span.symbol is None else {}
    keys = {*closed, *filled, *((mode, account, Group.ALL.value) for mode, account in curves)}
    return [
        _performance(key, closed[key], filled[key], money.get(key, {}), curves.get(key[:2], []))
        for key in sorted(keys)
    ]


_Key = tuple[Mode, str, str]


def _key(row: ClosedRow | FillRow, group: Group) -> _Key:
    name = {
        Group.ALL: Group.ALL.value,
        Group.STRATEGY: row.strategy or "(none)",
        Group.SYMBOL: row.symbol,
        Group.SIDE: row.side.value,
    }[group]
    return row.mode, row.account, name


def _curves(statistics: SqlStatistics, span: Span) -> dict[tuple[Mode, str], list[EquityRow]]:
    curves: dict[tuple[Mode, str], list[EquityRow]] = defaultdict(list)
    for row in statistics.equity(span):
        curves[row.mode, row.account].append(row)
    return curves


def _money(statistics: SqlStatistics, span: Span, group: Group) -> dict[_Key, Money]:
    """Funding is paid for a symbol, not for a strategy."""
    if group not in {Group.ALL, Group.SYMBOL}:
        return {}
    found: dict[_Key, dict[str, dict[Heading, Decimal]]] = {}
    for row in statistics.money(span):
        name = Group.ALL.value if group is Group.ALL else row.symbol
        by_asset = found.setdefault((row.mode, row.account, name), {})
        by_heading = by_asset.setdefault(row.asset, {})
        by_heading[row.heading] = by_heading.get(row.heading, Decimal(0)) + row.amount
    return dict(found)


def _performance(
    key: _Key,
    closed: Sequence[ClosedRow],
    filled: Sequence[FillRow],
    money: Money,
    curve: Sequence[EquityRow],
) -> Performance:
    mode, account, group = key
    return Performance(
        mode=mode,
        account=account,
        group=group,
        trades=trade_figures([trade_of(row) for row in closed]),
        fills=fill_figures(filled),
        money=money,
        whole=AccountFigures.of(curve) if curve else None,
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
