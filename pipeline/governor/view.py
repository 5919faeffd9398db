"""What the rules look at: the limits, and the world as it was at one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError
from pipeline.domain.guards import Activity, Latch, Marks, Reconciliation
from pipeline.domain.instruments import Instrument
from pipeline.domain.orders import Order
from pipeline.domain.permits import Permit
from pipeline.domain.ports import Quote
from pipeline.domain.positions import Equity, Position
from pipeline.domain.switches import KillSwitch, TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The governor's limits, named as in the settings. Money in USDT, ages in s, prices in basis points.

    None means "not configured", and denies. Raises: ConfigError when one is not a finite number of at least
    0: an infinite limit would let everything through.
    """

    max_order_qty: Decimal | None = None
    max_order_notional_usdt: Decimal | None = None
    price_collar_bps: Decimal | None = None
    quote_max_age_s: Decimal | None = None
    signal_max_age_bars: Decimal | None = None
    equity_max_age_s: Decimal | None = None
    max_leverage: Decimal | None = None
    max_positions: Decimal | None = None
    max_position_notional_usdt: Decimal | None = None
    max_exposure_usdt: Decimal | None = None
    duplicate_within_s: Decimal | None = None
    max_jump_bps: Decimal | None = None
    max_daily_loss_pct: Decimal | None = None
    max_drawdown_pct: Decimal | None = None
    max_orders_per_s: Decimal | None = None
    max_orders_per_minute: Decimal | None = None
    max_orders_per_day: Decimal | None = None
    cooldown_after_loss_s: Decimal | None = None
    max_rejects: Decimal | None = None
    max_repeats: Decimal | None = None
    max_kill_score: Decimal | None = None
    reconciled_max_age_s: Decimal | None = None
    max_clock_skew_s: Decimal | None = None

    def __post_init__(self) -> None:
        for name, value in self._items():
            if value is not None and not (is_finite(value) and value >= 0):
                raise ConfigError(
                    f"{value!r} is not a limit;",
                    where=f"governor.{name}",
                    remedy="write a finite number that is not negative.",
                )

    @classmethod
    def of(cls, source: object) -> Limits:
        """The limits that stand under the same names on `source` (the section `governor` of the settings)."""
        return cls(**{name: _exact(getattr(source, name, None)) for name in LIMIT_NAMES})

    def as_record(self) -> dict[str, str]:
        """Those that are configured, as text: the snapshot that a permit keeps."""
        return {name: str(value) for name, value in self._items() if value is not None}

    def _items(self) -> list[tuple[str, Decimal | None]]:
        return [(name, getattr(self, name)) for name in LIMIT_NAMES]


LIMIT_NAMES = tuple(limit.name for limit in fields(Limits))


def is_finite(value: object) -> bool:
    """A Decimal that is neither NaN nor infinite; a float or a text never is."""
    return isinstance(value, Decimal) and value.is_finite()


def is_name(value: object) -> bool:
    """A text that says something."""
    return isinstance(value, str) and bool(value.strip())


def _exact(value: Any) -> Any:
    """An int or float as the shortest decimal that names it; the constructor judges anything else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Decimal(str(value)) if is_number else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Safeguards:
    """What is remembered about the account. `config_hashes` are those of everybody who takes part."""

    latches: Sequence[Latch] = ()
    marks: Marks | None = None
    reconciliation: Reconciliation | None = None
    config_hashes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldView:
    """Everything that the rules may know, read at one instant. What could not be read is None, and denies.

    `now` is our clock, `exchange_now` the exchange's. `instrument` and `quote` are the intent's symbol's;
    `timeframe_s` is the length in seconds of the bars that its signal was judged on. `positions` (open ones),
    `unsettled` (orders that are not final) and `reserving` (permits that are not used yet) are the whole
    account's, over all symbols, but for the orders of other symbols that only reduce; `recent` holds the
    symbol's orders of at least the last `duplicate_within_s`.
    `bar_jump_bps` is the largest move between the closes of the signal's newest bars, `clock_offset_s` how
    far the
    exchange's clock is ahead of ours. An empty tuple says "there are none", which is not the same as None.
    """

    account: str
    mode: Mode
    now: datetime
    exchange_now: datetime | None = None
    in_universe: bool | None = None
    instrument: Instrument | None = None
    quote: Quote | None = None
    timeframe_s: int | None = None
    equity: Equity | None = None
    positions: Sequence[Position] | None = None
    unsettled: Sequence[Order] | None = None
    reserving: Sequence[Permit] | None = None
    recent: Sequence[Order] | None = None
    kill_switches: Sequence[KillSwitch] | None = None
    trading_state: TradingState | None = None
    bar_jump_bps: Decimal | None = None
    activity: Activity | None = None
    safeguards: Safeguards | None = None
    clock_offset_s: Decimal | None = None
